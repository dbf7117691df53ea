"""Finds a session that another worker of this machine holds, and makes the key to it.

The key is a session token like any other, for the same subject, origin and limits, made with the secret that all workers
share: the other one judges it as it judges every client's, and nothing else is agreed between them.
"""

import asyncio
import hashlib
import logging
import os
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from voxgate_core import Clock, Grant, SessionDirectory, VoxgateError
from voxgate_realtime import CARRIED, Far, Resume
from voxgate_security import TokenIssuer, TokenRequest

__all__ = ["NODE_BYTES", "Elsewhere", "machine", "node_id"]

FIND_SECONDS: Final = 2.0
"""How long a client that comes back waits for the directory: less than it may take to show its credential."""

NATIVE: Final = "/realtime"
MACHINE_CHARACTERS: Final = 16
NODE_BYTES: Final = 8
"""Random bytes that tell processes of one machine apart."""

logger = logging.getLogger("voxgate.gateway")


class Elsewhere:
    """Realtime's ``Finder`` over the session directory. ``node`` is the id of this process there."""

    def __init__(self, directory: SessionDirectory, node: str, issuer: TokenIssuer, clock: Clock) -> None:
        self._directory = directory
        self._node = node
        self._issuer = issuer
        self._clock = clock

    async def __call__(self, asked: Resume, grant: Grant) -> Far | None:
        try:
            async with asyncio.timeout(FIND_SECONDS):
                place = await self._directory.find(asked.session_id)
        except (VoxgateError, TimeoutError) as error:
            logger.warning("the session directory can't be asked", extra={"reason": type(error).__name__})
            return None
        # Its address is one of this machine's own: from another machine the same would lead somewhere else.
        if place is None or place.node == self._node or _machine_of(place.node) != _machine_of(self._node):
            return None
        query = {"resume": asked.session_id}
        if asked.last_event_id is not None:
            query["last_event_id"] = asked.last_event_id
        headers = [("Authorization", f"Bearer {self._token(grant)}"), (CARRIED, "1")]
        if grant.origin is not None:
            headers.append(("Origin", grant.origin))
        url = f"ws{place.url.removeprefix('http')}{NATIVE}?{urlencode(query)}"
        return Far(url, tuple(headers))

    def _token(self, grant: Grant) -> str:
        seconds = max(1, int(grant.expires_at - self._clock.now()))
        wanted = TokenRequest(grant.subject, grant.origin, grant.scope, seconds, grant.leash)
        return self._issuer.issue(wanted).token


def node_id(random: str) -> str:
    """The id of a process in the directory: its machine, and what tells it from others there."""
    return f"{machine()}-{random}"


def machine() -> str:
    """The same for all processes that reach each other by loopback, and for no others: of one boot and one network."""
    parts = [socket.gethostname()]
    for source in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/net"):
        try:
            is_link = Path(source).is_symlink()
            parts.append(os.readlink(source) if is_link else Path(source).read_text("ascii"))
        except OSError:  # not Linux: a host has one network
            continue
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:MACHINE_CHARACTERS]


def _machine_of(node: str) -> str:
    return node.partition("-")[0]
