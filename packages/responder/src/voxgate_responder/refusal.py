"""One refused request, whole: status, headers and body, ready for any transport."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from voxgate_core import Trace, VoxgateError
from voxgate_responder.envelope import encode, openai_error_body, problem_body
from voxgate_responder.headers import security_headers

__all__ = ["TRACE_NAMES", "HttpRefusal", "header_value", "refusal", "trace_headers"]

PROBLEM_JSON = b"application/problem+json"
JSON = b"application/json"
MAX_RETRY_AFTER = 86_400
"""Seconds: nobody is told to come back later than tomorrow."""

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
TRACE_NAMES = frozenset({b"x-trace-id", b"traceparent"})
"""Names of the headers that :func:`trace_headers` gives."""

_OWNED = frozenset({b"content-type", b"content-length", *TRACE_NAMES})


@dataclass(frozen=True, slots=True)
class HttpRefusal:
    """An HTTP answer. Header names are lower case; ``content-length`` counts ``body`` and is included."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def to_bytes(self, before: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """The answer as HTTP/1.1 writes it, for a connection that is closed afterwards."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = ""
        lines = [f"HTTP/1.1 {self.status} {phrase}".encode("ascii")]
        lines += [name + b": " + value for name, value in (*before, *self.headers) if name != b"connection"]
        return b"\r\n".join([*lines, b"connection: close", b"", self.body])


def refusal(
    error: VoxgateError,
    trace: Trace,
    *,
    openai: bool = False,
    instance: str | None = None,
    status: int | None = None,
    https: bool = False,
    legacy: Mapping[str, object] | None = None,
) -> HttpRefusal:
    """The whole answer to a refused request or WebSocket handshake.

    ``openai`` chooses OpenAI's error shape, ``instance`` is the path as a URI reference, ``status`` replaces
    the table's, ``legacy`` fields stand beside the envelope's members, and never in OpenAI's shape. A 401 always
    carries ``WWW-Authenticate`` (RFC 9110 section 15.5.2).

    Raises ``TypeError`` when the error's details are not JSON data, ``ValueError`` for a legacy field named like a
    member of the envelope.
    """
    effective = error.kind.status if status is None else status
    if openai:
        body = encode(openai_error_body(error, status=effective))
    else:
        body = encode(problem_body(error, trace.trace_id, instance, status=effective, legacy=legacy))
    headers = {
        b"content-type": JSON if openai else PROBLEM_JSON,
        b"content-length": str(len(body)).encode("ascii"),
        **dict(trace_headers(trace)),
        **dict(security_headers(private=True, https=https)),
    }
    if error.retry_after is not None and math.isfinite(error.retry_after):
        seconds = min(max(math.ceil(error.retry_after), 0), MAX_RETRY_AFTER)
        headers[b"retry-after"] = str(seconds).encode("ascii")
    if effective == HTTPStatus.UNAUTHORIZED:
        headers[b"www-authenticate"] = _challenge(error.code)
    for name, value in error.headers.items():
        raw_name = name.lower().encode("latin-1", "replace")
        if raw_name not in _OWNED:
            headers[raw_name] = header_value(value)
    return HttpRefusal(effective, tuple(headers.items()), body)


def trace_headers(trace: Trace) -> tuple[tuple[bytes, bytes], ...]:
    """The trace id for people and the W3C ``traceparent`` for tracing tools."""
    return (b"x-trace-id", trace.trace_id.encode("ascii")), (b"traceparent", trace.traceparent.encode("ascii"))


def header_value(text: str) -> bytes:
    """``text`` as a field value: control characters become spaces, as RFC 9110 section 5.5 asks."""
    return _CONTROL.sub(b" ", text.encode("latin-1", "replace"))


def _challenge(code: str) -> bytes:
    # RFC 6750 section 3.1: no error attribute when the request held no credential at all.
    if code in ("credential_missing", "credential_timeout"):
        return b'Bearer realm="voxgate"'
    return b'Bearer realm="voxgate", error="invalid_token"'
