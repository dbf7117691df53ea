"""A session that another process holds: found, dialled like a model server, and carried to its client as it is.

The process that the client reached stands in between and adds nothing: the other one says `auth_success`, keeps the time,
tells events and decides how it ends. When the way between breaks on this side, the other one sees a client whose network
dropped, and waits for it.
"""

from dataclasses import dataclass, field
from typing import Protocol

from voxgate_core import Grant
from voxgate_realtime.closing import FAILED, may_be_received
from voxgate_realtime.handshake import Resume

__all__ = ["Far", "Finder", "carried_code", "nowhere"]


@dataclass(frozen=True, slots=True)
class Far:
    """Where a session is. ``headers`` hold a credential for it, and are in no repr."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)


class Finder(Protocol):
    """Finds sessions of other processes."""

    async def __call__(self, asked: Resume, grant: Grant) -> Far | None:
        """Where the session is that the holder of ``grant`` asks for; ``None`` if on no other process. Raises nothing."""
        ...


async def nowhere(asked: Resume, grant: Grant) -> Far | None:
    """The finder of a process that has no others."""
    return None


def carried_code(code: int) -> int:
    """The close code that the client sees: that of the other process, where it is one that can be sent."""
    return code if may_be_received(code) else FAILED
