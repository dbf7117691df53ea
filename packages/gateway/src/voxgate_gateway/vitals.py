"""The health checks of a gateway: what each looks at, and which of them takes it out of rotation."""

import asyncio
import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from voxgate_backplane import Backplane
from voxgate_core import VoxgateError
from voxgate_fanout import Fanout
from voxgate_observability import Health, HealthCheck
from voxgate_realtime import RealtimeServer, Upstream

if TYPE_CHECKING:
    from voxgate_gateway.store.service import ConversationStore

__all__ = ["gateway_health"]

OFF: Final = "off"
FULL: Final = "full"

PROBE_KEY: Final = "health"
PROBE_TTL: Final = 60.0
"""Seconds after which the key that was written is gone again."""

UPSTREAM_SECONDS: Final = 2.0
UPSTREAM_KEPT: Final = 15.0
"""How long a model server that could be reached is taken to be there: it is somebody else's, and not to be pestered."""

DISK_KEPT: Final = 5.0
LEAST_FREE: Final = 64 * 1024**2
"""Bytes free in the data folder below which nothing can be promised to last."""

DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}


def gateway_health(
    realtime: RealtimeServer,
    *,
    plane: Backplane | None = None,
    fanout: Fanout | None = None,
    kept: "ConversationStore | None" = None,
    data_dir: Path | None = None,
    upstream: Upstream | None = None,
    least_free: int = LEAST_FREE,
) -> Health:
    """The checks of the parts that there are. ``least_free`` are bytes on the disk of ``data_dir``."""

    async def relay() -> Mapping[str, object]:
        return {"status": "ok" if realtime.enabled else OFF, "sessions": len(realtime.sessions)}

    checks = [HealthCheck(name="relay", look=relay, kept=0.0)]
    if plane is not None:
        checks.append(HealthCheck(name="backplane", look=lambda: _write(plane), holds=lambda: plane.is_up))
    if fanout is not None:

        async def queue() -> Mapping[str, object]:
            summary = fanout.summary()
            return {"status": FULL if summary["full"] else "ok", **summary}

        checks.append(HealthCheck(name="fanout", look=queue, kept=0.0))
    if kept is not None:

        async def conversations() -> Mapping[str, object]:
            return kept.recorder.summary()

        checks.append(HealthCheck(name="conversations", look=conversations, kept=0.0))
        checks.append(HealthCheck(name="database", look=lambda: _ask(kept), needed=False))
    if data_dir is not None:
        checks.append(HealthCheck(name="disk", look=lambda: _room(data_dir, least_free), kept=DISK_KEPT))
    if upstream is not None:
        # Not needed: were every gateway taken out of rotation while a model server is away, nobody could tell a page why.
        checks.append(
            HealthCheck(
                name="upstream",
                look=lambda: _reach(upstream.url),
                needed=False,
                seconds=UPSTREAM_SECONDS,
                kept=UPSTREAM_KEPT,
            )
        )
    return Health(checks)


async def _write(plane: Backplane) -> Mapping[str, object]:
    """Whether the store takes a write now. That a connection is there is not enough: a server may hang behind it, or its
    disk be full, and then nobody could be let in either."""
    if not plane.is_up:
        raise VoxgateError("unavailable", "the connection is gone")
    await plane.requests.put(PROBE_KEY, b"", ttl=PROBE_TTL)
    return {}


async def _ask(kept: "ConversationStore") -> Mapping[str, object]:
    """Whether the database answers. Conversations wait in memory meanwhile, so it is not needed to talk."""
    await kept.conversations.ping()
    return {}


async def _room(folder: Path, least: int) -> Mapping[str, object]:
    """Whether there is room where state is kept."""
    free = await asyncio.to_thread(lambda: shutil.disk_usage(folder).free)
    return {"status": "ok" if free >= least else "down", "freeBytes": free}


async def _reach(url: str) -> Mapping[str, object]:
    """Whether the model server takes a connection. Nothing is said to it: a session costs money."""
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    _, writer = await asyncio.open_connection(parts.hostname, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return {}
