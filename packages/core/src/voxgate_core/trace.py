"""Trace ids: 32 hex digits, carried in and out by the W3C ``traceparent`` header.

Source: W3C Trace Context, Level 1, section 3.2 (https://www.w3.org/TR/trace-context/).
"""

import os
import string
from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["Trace", "current_trace", "new_trace", "parse_traceparent", "trace_from_headers"]

_VERSION_00_LENGTH = 55
_HEX = frozenset(string.hexdigits.lower())
_ZERO_TRACE = "0" * 32
_ZERO_PARENT = "0" * 16

current_trace: ContextVar["Trace | None"] = ContextVar("voxgate_trace", default=None)
"""The trace of the request or session being served, read by log formatters and error renderers."""


class Trace(NamedTuple):
    """One trace as this process sees it.

    ``trace_id`` is 32 lower-case hex digits, ``span_id`` (16) names this process's own span,
    ``parent_id`` (16) the caller's span where one was sent, ``flags`` the sampling byte.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    flags: int = 0

    @property
    def traceparent(self) -> str:
        """The header value to send on, with this process's span as the parent."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def new_trace() -> Trace:
    """Start a trace of our own, not sampled: voxgate does not decide for a tracing backend."""
    digits = os.urandom(24).hex()  # one call into the kernel for both: this is done for every request
    trace_id, span_id = digits[:32], digits[32:]
    if trace_id == _ZERO_TRACE or span_id == _ZERO_PARENT:
        return new_trace()
    return Trace(trace_id, span_id)


def parse_traceparent(value: str) -> Trace | None:
    """Read one ``traceparent`` value; ``None`` for anything the specification calls invalid.

    Versions above 00 are read by their first four fields, version ff is refused (section 3.2.2.1).
    """
    fields = value.split("-")
    if len(fields) < 4:
        return None
    version, trace_id, parent_id, flags = fields[:4]
    if not (_is_hex(version, 2) and _is_hex(trace_id, 32) and _is_hex(parent_id, 16) and _is_hex(flags, 2)):
        return None
    if version == "ff" or trace_id == _ZERO_TRACE or parent_id == _ZERO_PARENT:
        return None
    if version == "00" and len(value) != _VERSION_00_LENGTH:
        return None
    return Trace(trace_id=trace_id, span_id=_span_id(), parent_id=parent_id, flags=int(flags, 16) & 1)


def trace_from_headers(traceparents: list[str]) -> Trace:
    """Continue the caller's trace when exactly one valid ``traceparent`` was sent, else start one."""
    if len(traceparents) == 1:
        inbound = parse_traceparent(traceparents[0])
        if inbound is not None:
            return inbound
    return new_trace()


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and _HEX.issuperset(text)


def _span_id() -> str:
    while (digits := os.urandom(8).hex()) == _ZERO_PARENT:
        continue
    return digits
