"""What any exception means to the caller: an error of the core table and the HTTP status to send.

Nothing of an unexpected exception is repeated: its text may hold a path, a query or a secret.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from voxgate_core import VoxgateError

__all__ = ["code_of_status", "problem_of"]

MAX_FIELDS = 20
"""Faulty fields named in one answer."""

MAX_TEXT = 200
"""Characters of one message or one element of a field's position."""

MAX_POSITION = 16
"""Elements of a field's position; deeper ones are cut off."""

_SAFE_INTEGER = 2**53
_SERVER_ERRORS = 500

_CODES: Mapping[int, str] = {
    400: "bad_request",
    401: "credential_missing",
    403: "policy_refused",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
    429: "quota_exceeded",
    431: "headers_too_large",
    500: "internal_error",
    502: "upstream_failed",
    503: "unavailable",
    504: "upstream_unreachable",
}


def code_of_status(status: int) -> str:
    """The table's code for an HTTP status that some other layer has chosen."""
    return _CODES.get(status, "internal_error" if status >= _SERVER_ERRORS else "bad_request")


def problem_of(exception: BaseException) -> tuple[VoxgateError, int]:
    """The error to show for ``exception``, and the HTTP status: the table's, or the one a framework fixed.

    Headers of a Starlette ``HTTPException`` (``Allow``, ``WWW-Authenticate``, ``Retry-After``) are kept.
    """
    if isinstance(exception, VoxgateError):
        error, status = exception, exception.kind.status
    elif isinstance(exception, RequestValidationError):
        error = _validation(exception)
        status = error.kind.status
    elif isinstance(exception, HTTPException):
        error, status = _http(exception)
    else:
        error = VoxgateError("internal_error")
        status = error.kind.status
    return error, status


def _http(exception: HTTPException) -> tuple[VoxgateError, int]:
    # FastAPI turns whatever reading a body raises into a bare 400; the reason is still its cause.
    cause = exception.__cause__
    if isinstance(cause, VoxgateError):
        return cause, cause.kind.status
    if exception.status_code == HTTPStatus.BAD_REQUEST and isinstance(cause, ValueError | RecursionError):
        return VoxgateError("malformed_json"), HTTPStatus.BAD_REQUEST
    status = exception.status_code
    # Starlette documents text, FastAPI allows any JSON data.
    detail: object = exception.detail
    message: str | None = None
    details: dict[str, object] | None = None
    if status < _SERVER_ERRORS:
        if isinstance(detail, str) and detail:
            message = None if status in _CODES and detail == _phrase(status) else detail[:MAX_TEXT]
        elif isinstance(detail, Mapping):
            details = {str(name): value for name, value in detail.items()}
    return VoxgateError(code_of_status(status), message, details=details, headers=exception.headers), status


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _validation(exception: RequestValidationError) -> VoxgateError:
    faults = exception.errors()
    for fault in faults:
        if fault.get("type") == "json_invalid":
            return VoxgateError("malformed_json", details=_json_position(fault))
    # FastAPI hands the body on as bytes when its content type is not JSON.
    if isinstance(exception.body, bytes) and any(fault.get("loc", ())[:1] == ("body",) for fault in faults):
        return VoxgateError("unsupported_media_type", "The body must be sent as application/json")
    fields = [_field(fault) for fault in faults[:MAX_FIELDS]]
    return VoxgateError("invalid_input", details={"fields": fields, "faults": len(faults)})


def _json_position(fault: Mapping[str, object]) -> dict[str, object] | None:
    position = fault.get("loc")
    if isinstance(position, Sequence) and len(position) == 2 and isinstance(position[1], int):
        return {"position": position[1]}
    return None


def _field(fault: Mapping[str, object]) -> dict[str, object]:
    """One fault without its input and context, which repeat what the caller sent."""
    location = fault.get("loc", ())
    parts = list(location)[:MAX_POSITION] if isinstance(location, Sequence) else []
    return {
        "at": [_part(part) for part in parts],
        "message": str(fault.get("msg", ""))[:MAX_TEXT],
        "type": str(fault.get("type", ""))[:MAX_TEXT],
    }


def _part(part: object) -> str | int:
    if isinstance(part, int) and abs(part) < _SAFE_INTEGER:
        return part
    return str(part)[:MAX_TEXT]
