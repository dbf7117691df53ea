"""Answers as Starlette responses, for routes that do not raise."""

from collections.abc import Mapping

from starlette.responses import Response

from voxgate_core import Answer, Trace, VoxgateError, current_trace, new_trace
from voxgate_responder.context import current_rendering
from voxgate_responder.envelope import encode, success_body
from voxgate_responder.refusal import HttpRefusal, header_value, refusal, trace_headers

__all__ = ["error_response", "json_error", "json_success", "respond"]


def respond(answer: Answer) -> Response:
    """The response for ``answer``: in the envelope, or as it stands when it is ``bare``.

    Raises ``ValueError`` for a legacy field named like a member of the envelope, ``TypeError`` for data that
    JSON can't hold.
    """
    trace = _trace()
    body = encode(answer.data if answer.bare else success_body(answer, trace.trace_id))
    response = Response(body, answer.status, media_type="application/json")
    set_by_route = {name.lower().encode("latin-1"): header_value(value) for name, value in answer.headers.items()}
    response.raw_headers += [header for header in trace_headers(trace) if header[0] not in set_by_route]
    kept = [header for header in response.raw_headers if header[0] not in set_by_route]
    response.raw_headers = [*kept, *set_by_route.items()]
    return response


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
) -> Response:
    """A problem from the error table. Raises ``KeyError`` for an unknown code, ``TypeError`` for details not JSON."""
    error = VoxgateError(code, message, details=details, retry_after=retry_after, headers=headers)
    return error_response(error, status=status)


def error_response(error: VoxgateError, *, status: int | None = None) -> Response:
    """The response for ``error``, in the shape that the path being served calls for."""
    rendering = current_rendering.get()
    if rendering is None:
        return _response(refusal(error, _trace(), status=status))
    return _response(
        refusal(
            error,
            _trace(),
            openai=rendering.openai,
            instance=rendering.instance,
            status=status,
            https=rendering.https,
        )
    )


def _response(refused: HttpRefusal) -> Response:
    response = Response(refused.body, refused.status)
    response.raw_headers = list(refused.headers)
    return response


def _trace() -> Trace:
    return current_trace.get() or new_trace()
