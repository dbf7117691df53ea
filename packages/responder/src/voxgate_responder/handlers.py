"""What FastAPI and Starlette would answer in shapes of their own, answered in ours."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from voxgate_core import VoxgateError
from voxgate_responder.problem import problem_of
from voxgate_responder.responses import error_response

__all__ = ["REFUSAL_KEY", "install"]

REFUSAL_KEY = "voxgate.refusal"
"""Where the ASGI scope of a request holds the error that it was answered with: for whoever counts outside."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Methods looked for when a 405 lists what is allowed."""

_FIRST_ERROR = 400
_METHOD_NOT_ALLOWED = 405


def install(app: FastAPI) -> None:
    """Register the handlers: 404, 405 with a full ``Allow``, 415, 422, malformed JSON, ``HTTPException``, the rest.

    The application still needs :class:`voxgate_responder.EnvelopeMiddleware` around it, or among its
    middleware, for trace ids, security headers and bounds.
    """
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, _answer)
    app.add_exception_handler(VoxgateError, _answer)
    # Starlette gives this one to its outermost layer, which raises again after it: the middleware logs it.
    app.add_exception_handler(Exception, _answer)


async def _answer(request: Request, exception: Exception) -> Response:
    if isinstance(exception, HTTPException) and exception.status_code < _FIRST_ERROR:
        return Response(status_code=exception.status_code, headers=exception.headers)
    error, status = problem_of(exception)
    if request.scope["type"] == "websocket":
        # Only the middleware knows whether the socket was accepted, so whether to refuse it or to close it.
        raise error
    request.scope[REFUSAL_KEY] = error
    response = error_response(error, status=status)
    if status == _METHOD_NOT_ALLOWED:
        response.headers["allow"] = _allowed(request, response.headers.get("allow", ""))
    return response


def _allowed(request: Request, known: str) -> str:
    """Every method some route takes at this path: Starlette names those of the first route only."""
    found = {method.strip() for method in known.split(",")} - {""}
    routes = request.app.router.routes
    for method in METHODS:
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in routes):
            found.add(method)
    if "GET" in found:
        found.add("HEAD")
    return ", ".join(sorted(found))
