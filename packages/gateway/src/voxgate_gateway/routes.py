"""The gateway's own routes: liveness, readiness, health, and a word for those who open a socket's address."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.responses import Response

from voxgate_backplane import Backplane
from voxgate_core import Answer, VoxgateError
from voxgate_fanout import Fanout
from voxgate_gateway.version import VERSION
from voxgate_realtime import PATHS, RealtimeServer

if TYPE_CHECKING:
    from voxgate_gateway.store.service import ConversationStore

__all__ = ["create_router"]

OK: Final = "ok"
OFF: Final = "off"
FULL: Final = "full"
DOWN: Final = "down"

PROBE_SECONDS: Final = 1.0
"""How long the backplane may take to write a key before it counts as down; load balancers ask every few seconds."""

PROBE_EVERY: Final = 0.5
"""How long a good answer holds, so that nobody keeps the disk busy by asking."""

PROBE_KEY: Final = "health"
PROBE_TTL: Final = 60.0
"""Seconds after which the key is gone again."""


def create_router(
    realtime: RealtimeServer,
    respond: Callable[[Answer], Response],
    *,
    plane: Backplane | None = None,
    fanout: Fanout | None = None,
    kept: "ConversationStore | None" = None,
) -> APIRouter:
    """Routes that answer for the process itself; ``respond`` renders them."""
    router = APIRouter()
    probe = None if plane is None else _Probe(plane)

    async def judge() -> dict[str, dict[str, object]]:
        """What is down is told by 503: nobody can be let in while it can't be looked up who was before."""
        found: dict[str, dict[str, object]] = {
            "relay": {"status": OK if realtime.enabled else OFF, "sessions": len(realtime.sessions)}
        }
        if probe is not None:
            found["backplane"] = {"status": OK if await probe.answers() else DOWN}
        if fanout is not None:
            summary = fanout.summary()
            found["fanout"] = {"status": FULL if summary["full"] else OK, **summary}
        if kept is not None:
            found["conversations"] = {"status": OK, **kept.recorder.summary()}
        if any(check["status"] == DOWN for check in found.values()):
            raise VoxgateError("unavailable", "a part of the gateway is down", details={"checks": found})
        return found

    @router.get("/livez", summary="The process answers")
    async def live() -> Response:
        return respond(Answer({"status": "alive"}))

    @router.get("/readyz", summary="The gateway takes sessions")
    async def ready() -> Response:
        await judge()
        return respond(Answer({"status": "ready"}))

    @router.get("/api/health", summary="What works and what does not")
    async def health() -> Response:
        return respond(Answer({}, legacy={"status": OK, "version": VERSION, "checks": await judge()}))

    async def upgrade_required() -> Response:
        raise VoxgateError("upgrade_required", headers={"Upgrade": "websocket", "Connection": "Upgrade"})

    for path in PATHS:
        router.add_api_route(path, upgrade_required, methods=["GET"], summary="A WebSocket: see the documentation")
    return router


class _Probe:
    """Whether the store takes a write now. That a connection is there is not enough: a server may hang behind it, or its
    disk be full, and then nobody could be let in either."""

    def __init__(self, plane: Backplane) -> None:
        self._plane = plane
        self._judged_at = -PROBE_EVERY
        self._verdict = False
        self._lock = asyncio.Lock()

    async def answers(self) -> bool:
        if not self._plane.is_up:
            return False
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._judged_at >= PROBE_EVERY or not self._verdict:
                self._verdict = await self._write()
                self._judged_at = now
        return self._verdict

    async def _write(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._plane.requests.put(PROBE_KEY, b"", ttl=PROBE_TTL)
        except (TimeoutError, VoxgateError):
            return False
        return True
