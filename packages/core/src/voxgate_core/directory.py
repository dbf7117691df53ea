"""The session directory port: which node holds a live session, for a client that comes back on another one."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Place", "SessionDirectory"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session lives: ``node`` is the id of one gateway process, ``url`` where other nodes reach it."""

    node: str
    url: str


class SessionDirectory(Protocol):
    """Shared by every node. Each method raises :class:`VoxgateError` ``unavailable`` when the store can't be reached."""

    async def announce(self, session_id: str) -> None:
        """This node holds the session, from now until :meth:`withdraw` or until the node is gone."""
        ...

    async def withdraw(self, session_id: str) -> None:
        """This node holds the session no longer; a session that has moved on to another node stays there."""
        ...

    async def find(self, session_id: str) -> Place | None:
        """Who holds it; ``None`` when nobody does, or its node has stopped saying that it lives."""
        ...

    async def nodes(self) -> tuple[Place, ...]:
        """Every node that lives, this one included."""
        ...
