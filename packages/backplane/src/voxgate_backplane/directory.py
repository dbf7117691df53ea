"""The session directory over a shared key-value store: sessions name their node, and nodes say that they live."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from voxgate_backplane.names import check_token
from voxgate_core import KeyValue, Place, VoxgateError

__all__ = ["Directory"]

BEAT_SECONDS: Final = 10.0
"""How often a node says that it lives."""

NODE_SECONDS: Final = 30.0
"""After how long a node that said nothing counts as gone: three beats."""

LEAVE_SECONDS: Final = 2.0
"""How long a node that stops tries to say so; when it can't, it counts as gone after NODE_SECONDS."""

SESSION_SECONDS: Final = 3_900.0
"""How long an entry outlives its session when nobody withdrew it: past the longest session."""

WITHDRAWN_SECONDS: Final = 1.0
"""How long the mark of a withdrawn session stays."""

NODES: Final = "directory.node."
SESSIONS: Final = "directory.session."

logger = logging.getLogger("voxgate.backplane")

_decode = msgspec.json.Decoder(Place).decode


class Directory:
    """:class:`voxgate_core.SessionDirectory`. ``here`` is this node. Sessions cost one write each, nodes one a beat.

    Ids of nodes and sessions are letters, digits, ``-`` and ``_``, at most 128; the constructor and :meth:`announce`
    raise ``ValueError`` for others.
    """

    def __init__(
        self, store: KeyValue, here: Place, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        check_token(here.node)
        self._store = store
        self._here = here
        self._pause = pause

    async def live(self) -> None:
        """Say that this node lives, until cancelled; then take it back."""
        try:
            while True:
                await self._beat()
                await self._pause(BEAT_SECONDS)
        finally:
            await self._leave()

    async def announce(self, session_id: str) -> None:
        key = SESSIONS + check_token(session_id)
        await self._store.put(key, self._here.node.encode(), ttl=SESSION_SECONDS)

    async def withdraw(self, session_id: str) -> None:
        key = SESSIONS + check_token(session_id)
        entry = await self._store.get(key)
        if entry is not None and entry.value == self._here.node.encode():
            # Not a delete: the session may be moving to another node at this very moment.
            await self._store.compare_and_set(key, b"", revision=entry.revision, ttl=WITHDRAWN_SECONDS)

    async def find(self, session_id: str) -> Place | None:
        try:
            key = SESSIONS + check_token(session_id)
        except ValueError:
            return None  # a client asks for it; no session was ever announced under such an id
        entry = await self._store.get(key)
        if entry is None or not entry.value:
            return None
        node = await self._store.get(NODES + entry.value.decode())
        return None if node is None else _read(node.value)

    async def nodes(self) -> tuple[Place, ...]:
        entries = await self._store.scan(NODES)
        return tuple(_read(entry.value) for _, entry in sorted(entries.items()))

    async def _beat(self) -> None:
        try:
            await self._store.put(NODES + self._here.node, msgspec.json.encode(self._here), ttl=NODE_SECONDS)
        except VoxgateError as error:
            logger.warning("this node could not say that it lives", extra={"code": error.code})

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._store.delete(NODES + self._here.node)
        except (VoxgateError, TimeoutError) as error:
            logger.info("this node could not say that it leaves: %s", error)


def _read(value: bytes) -> Place:
    try:
        return _decode(value)
    except msgspec.MsgspecError:
        raise VoxgateError("unavailable", "the record of a node can't be read") from None
