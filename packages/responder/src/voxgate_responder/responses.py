"""Answers as Starlette responses, for routes that do not raise."""

from collections.abc import Mapping

from starlette.responses import Response

from voxgate_core import Answer, Trace, VoxgateError, current_trace, new_trace
from voxgate_responder.context import current_rendering
from voxgate_responder.envelope import encode, success_body
from voxgate_responder.headers import OwnHeaders
from voxgate_responder.refusal import HttpRefusal, header_value, refusal, trace_headers

__all__ = ["error_response", "json_error", "json_success", "respond"]

_JSON_TYPE = (b"content-type", b"application/json")
_FIRST_FINAL = 200
_BODILESS = (204, 304)
"""Statuses that announce no length (RFC 9110 section 8.6), beside those below 200."""


class _Ready(Response):
    """A response whose headers are there, so that none have to be made again."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self.raw_headers = headers
        self.background = None


def respond(answer: Answer) -> Response:
    """The response for ``answer``: in the envelope, or as it stands when it is ``bare``.

    Raises ``ValueError`` for a legacy field named like a member of the envelope, ``TypeError`` for data that
    JSON can't hold.
    """
    trace = _trace()
    body = encode(answer.data if answer.bare else success_body(answer, trace.trace_id))
    headers = OwnHeaders((_JSON_TYPE, *trace_headers(trace)))
    if answer.status >= _FIRST_FINAL and answer.status not in _BODILESS:
        headers.append((b"content-length", b"%d" % len(body)))
    if answer.headers:  # what a route sets, it may set of any name: the middleware has to look
        set_by_route = {name.lower().encode("latin-1"): header_value(value) for name, value in answer.headers.items()}
        kept = [header for header in headers if header[0] not in set_by_route]
        return _Ready(body, answer.status, [*kept, *set_by_route.items()])
    return _Ready(body, answer.status, headers)


def json_success(
    data: Mapping[str, object],
    *,
    legacy: Mapping[str, object] | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A success in the envelope; ``legacy`` fields stand beside ``data`` at the top level. Raises as :func:`respond`."""
    return respond(Answer(data, legacy or {}, status, headers or {}))


def json_error(
    code: str,
    message: str | None = None,
    *,
    details: Mapping[str, object] | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
    legacy: Mapping[str, object] | None = None,
) -> Response:
    """A problem from the error table; ``legacy`` fields stand beside its members.

    Raises ``KeyError`` for an unknown code, ``TypeError`` for details not JSON, ``ValueError`` for a legacy field
    named like a member.
    """
    error = VoxgateError(code, message, details=details, retry_after=retry_after, headers=headers)
    return error_response(error, status=status, legacy=legacy)


def error_response(
    error: VoxgateError, *, status: int | None = None, legacy: Mapping[str, object] | None = None
) -> Response:
    """The response for ``error``, in the shape that the path being served calls for. Raises as :func:`json_error`."""
    rendering = current_rendering.get()
    if rendering is None:
        return _response(refusal(error, _trace(), status=status, legacy=legacy))
    return _response(
        refusal(
            error,
            _trace(),
            openai=rendering.openai,
            instance=rendering.instance,
            status=status,
            https=rendering.https,
            legacy=legacy,
        )
    )


def _response(refused: HttpRefusal) -> Response:
    return _Ready(refused.body, refused.status, list(refused.headers))


def _trace() -> Trace:
    return current_trace.get() or new_trace()
