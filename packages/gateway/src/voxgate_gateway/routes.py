"""The gateway's own routes: liveness, readiness, health, metrics, and a word for those who open a socket's address."""

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from voxgate_core import Answer, CallerGate, VoxgateError
from voxgate_gateway.version import VERSION
from voxgate_observability import Health, Phase
from voxgate_observability.exposition import CONTENT_TYPE, Exposition
from voxgate_realtime import PATHS

__all__ = ["create_router"]

DEGRADED: Final = "degraded"

RETRY_AFTER: Final = 1
"""Seconds after which to ask a gateway again that takes nobody now."""


def create_router(
    health: Health,
    respond: Callable[[Answer], Response],
    *,
    metrics: Exposition | None = None,
    gate: CallerGate | None = None,
) -> APIRouter:
    """Routes that answer for the process itself; ``respond`` renders them.

    ``metrics`` are shown to whom ``gate`` lets in as an operator, to everybody without one, and not at all when they
    are ``None``.
    """
    router = APIRouter()

    async def judge() -> dict[str, dict[str, object]]:
        """What is down is told by 503: nobody can be let in while it can't be looked up who was before."""
        found = await health.judge()
        if failing := health.failing(found):
            details = {"failing": failing, "checks": found}
            raise VoxgateError("unavailable", "a part of the gateway is down", details=details, retry_after=RETRY_AFTER)
        return found

    @router.get("/livez", summary="The process answers")
    async def live() -> Response:
        return respond(Answer({"status": "alive"}))

    @router.get("/readyz", summary="The gateway takes sessions")
    async def ready() -> Response:
        if health.phase is not Phase.READY:
            details = {"phase": health.phase.value}
            raise VoxgateError(
                "unavailable", f"the gateway is {health.phase}", details=details, retry_after=RETRY_AFTER
            )
        await judge()
        return respond(Answer({"status": "ready"}))

    @router.get("/api/health", summary="What works and what does not")
    async def report() -> Response:
        found = await judge()
        status = DEGRADED if any(check["status"] == "down" for check in found.values()) else "ok"
        legacy = {"status": status, "version": VERSION, "checks": found, "phase": health.phase.value}
        return respond(Answer({}, legacy=legacy))

    if metrics is not None:

        @router.get("/metrics", summary="Figures for Prometheus")
        async def scrape(request: Request) -> Response:
            if gate is not None:
                await gate.admit(request.headers.raw, operator=True)
            await health.judge()  # bounded and cached: else a check that is down would show only to who asks for health
            return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def upgrade_required() -> Response:
        raise VoxgateError("upgrade_required", headers={"Upgrade": "websocket", "Connection": "Upgrade"})

    for path in PATHS:
        router.add_api_route(path, upgrade_required, methods=["GET"], summary="A WebSocket: see the documentation")
    return router
