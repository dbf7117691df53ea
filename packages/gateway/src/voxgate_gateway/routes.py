"""The gateway's own routes: liveness, readiness, health, and a word for those who open a socket's address."""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from voxgate_core import Answer, VoxgateError
from voxgate_gateway.version import VERSION
from voxgate_realtime import PATHS, RealtimeServer

__all__ = ["create_router"]


def create_router(realtime: RealtimeServer, respond: Callable[[Answer], Response]) -> APIRouter:
    """Routes that answer for the process itself; ``respond`` renders them."""
    router = APIRouter()

    @router.get("/livez", summary="The process answers")
    async def live() -> Response:
        return respond(Answer({"status": "alive"}))

    @router.get("/readyz", summary="The gateway takes sessions")
    async def ready() -> Response:
        return respond(Answer({"status": "ready"}))

    @router.get("/api/health", summary="What works and what does not")
    async def health() -> Response:
        relay = {"status": "ok" if realtime.enabled else "off", "sessions": len(realtime.sessions)}
        return respond(Answer({}, legacy={"status": "ok", "version": VERSION, "checks": {"relay": relay}}))

    async def upgrade_required() -> Response:
        raise VoxgateError("upgrade_required", headers={"Upgrade": "websocket", "Connection": "Upgrade"})

    for path in PATHS:
        router.add_api_route(path, upgrade_required, methods=["GET"], summary="A WebSocket: see the documentation")
    return router
