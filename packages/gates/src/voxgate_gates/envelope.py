"""The one shape every JSON answer has, as a stranger reads it. Pure.

Success: ``{success: true, traceId, data, …}`` as ``application/json``. Error: RFC 9457 ``application/problem+json``
with ``{success: false, traceId, error: {code, message}, type, title, status, detail, instance}``.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from voxgate_gates.condition import ABSENT, refuse_constant

__all__ = [
    "MAX_DEPTH",
    "SECURITY_HEADERS",
    "envelope_faults",
    "header_faults",
    "is_trace_id",
    "parse_json",
    "trace_faults",
]

TRACE_HEADER: Final = "x-trace-id"

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "x-content-type-options": r"nosniff",
    "x-frame-options": r"(?i:DENY|SAMEORIGIN)",
    "referrer-policy": r"(?i)no-referrer|same-origin|strict-origin(?:-when-cross-origin)?",
    "content-security-policy": r".*\bframe-ancestors\s+'(?:none|self)'.*",
    "cache-control": r"(?i).*\bno-store\b.*",
}
"""Headers every API answer carries, each with the values accepted as a regular expression over the whole value.

Source: OWASP REST Security Cheat Sheet, "Security Headers".
"""

MAX_DEPTH: Final = 64
"""Levels of arrays and objects in JSON that is read: what comes near Python's own limit breaks whoever writes it out again."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_PROBLEM_TEXTS: Final = ("type", "title", "detail", "instance")


def parse_json(content: bytes | str) -> object:
    """The JSON value, or :data:`ABSENT` when it is not JSON (RFC 8259: no ``NaN``), or deeper than :data:`MAX_DEPTH`."""
    try:
        parsed: object = json.loads(content, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return ABSENT
    return ABSENT if _is_too_deep(parsed) else parsed


def is_trace_id(text: str) -> bool:
    """Whether it is 32 lower-case hex digits."""
    return _TRACE_ID.fullmatch(text) is not None


def envelope_faults(status: int, headers: Mapping[str, str], body: object, *, data: bool = True) -> list[str]:
    """Everything wrong with an answer's shape, as short sentences; empty when it fits.

    ``headers`` has lower-case names. ``data`` says whether a success must carry an object of that name.
    """
    if not isinstance(body, Mapping):
        return ["the body is not a JSON object"]
    faults = _success_faults(body, headers, data=data) if status < 400 else _error_faults(status, headers, body)
    return [*faults, *trace_faults(headers, body)]


def trace_faults(headers: Mapping[str, str], body: Mapping[str, object]) -> list[str]:
    """What is wrong with the trace id in the header and the body."""
    trace_id = body.get("traceId")
    if not isinstance(trace_id, str) or not is_trace_id(trace_id) or not trace_id.strip("0"):
        return ["traceId is not 32 hex digits"]
    if headers.get(TRACE_HEADER) != trace_id:
        return ["X-Trace-Id differs from traceId"]
    return []


def header_faults(headers: Mapping[str, str], names: Iterable[str] = SECURITY_HEADERS) -> list[str]:
    """Each security header that is missing or has a value not accepted."""
    faults = []
    for name in names:
        value = headers.get(name)
        if value is None:
            faults.append(f"{name} is missing")
        elif not re.fullmatch(SECURITY_HEADERS[name], value):
            faults.append(f"{name} is {value[:80]!r}")
    return sorted(faults)


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [member for each in level for member in _members(each) if isinstance(member, dict | list)]
        if not level:
            return False
    return True


def _members(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _success_faults(body: Mapping[str, object], headers: Mapping[str, str], *, data: bool) -> list[str]:
    faults = []
    if _media_type(headers) != "application/json":
        faults.append("Content-Type is not application/json")
    if body.get("success") is not True:
        faults.append("success is not true")
    if data and not isinstance(body.get("data"), Mapping):
        faults.append("data is not an object")
    return faults


def _error_faults(status: int, headers: Mapping[str, str], body: Mapping[str, object]) -> list[str]:
    faults = []
    if _media_type(headers) != "application/problem+json":
        faults.append("Content-Type is not application/problem+json")
    if body.get("success") is not False:
        faults.append("success is not false")
    error = body.get("error")
    described = error if isinstance(error, Mapping) else {}
    faults += [f"error.{name} is no text" for name in ("code", "message") if not _is_text(described.get(name))]
    faults += [f"{name} is no text" for name in _PROBLEM_TEXTS if not _is_text(body.get(name))]
    if body.get("status") != status:
        faults.append("status differs from the HTTP status")
    return faults


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
