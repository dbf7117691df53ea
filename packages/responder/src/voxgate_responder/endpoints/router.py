"""The HTTP routes of the seven endpoints, whoever answers them."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from voxgate_core import Answer, CallerGate, current_trace, new_trace
from voxgate_responder.endpoints.call import Backend, Call, Refused
from voxgate_responder.endpoints.table import ENDPOINTS, Endpoint
from voxgate_responder.responses import error_response

__all__ = ["create_stub_router"]

Respond = Callable[[Answer], Response]

NO_CONTENT: Final = 204


def create_stub_router(respond: Respond, backend: Backend, *, gate: CallerGate | None = None) -> APIRouter:
    """Routes below ``/api/``; ``respond`` renders what ``backend`` answers.

    With a ``gate``, callers must be let in by it, but for health and for what the backend verifies itself. Needs
    :class:`voxgate_responder.EnvelopeMiddleware` around it: that bounds bodies and answers HEAD.
    """
    router = APIRouter(tags=["endpoints"])
    for endpoint in ENDPOINTS.values():
        for method in endpoint.methods:
            serve = _server(endpoint, method, respond, backend, gate)
            router.add_api_route(
                endpoint.path,
                serve,
                methods=[method],
                name=f"{endpoint.name}_{method.lower()}",
                summary=endpoint.title,
                response_class=Response,
                responses=_documented(endpoint),
            )
        router.add_api_route(endpoint.path, _options(endpoint), methods=["OPTIONS"], include_in_schema=False)
    return router


def _server(
    endpoint: Endpoint, method: str, respond: Respond, backend: Backend, gate: CallerGate | None
) -> Callable[[Request], Awaitable[Response]]:
    has_body = "body" in endpoint.methods[method]

    async def serve(request: Request) -> Response:
        call = Call(
            endpoint=endpoint,
            method=method,
            query=request.scope["query_string"].decode("latin-1"),
            headers={name: ", ".join(request.headers.getlist(name)) for name in request.headers},
            body=await request.body() if has_body else b"",
            trace=current_trace.get() or new_trace(),
        )
        if gate is not None and endpoint.guarded and not backend.believes(call):
            await gate.admit(request.scope["headers"])
        try:
            answer = await backend.answer(call)
        except Refused as refused:
            return error_response(refused.error, status=refused.status)
        return respond(answer)

    return serve


def _options(endpoint: Endpoint) -> Callable[[], Awaitable[Response]]:
    methods = {*endpoint.methods, "OPTIONS", *(("HEAD",) if "GET" in endpoint.methods else ())}

    async def options() -> Response:
        return Response(status_code=NO_CONTENT, headers={"Allow": ", ".join(sorted(methods))})

    return options


def _documented(endpoint: Endpoint) -> dict[int | str, dict[str, Any]]:
    shapes = endpoint.schema["$defs"]
    return {
        200: {"description": endpoint.title, "content": {"application/json": {"schema": shapes["success"]}}},
        "default": {"description": "Refused", "content": {"application/problem+json": {"schema": shapes["problem"]}}},
    }
