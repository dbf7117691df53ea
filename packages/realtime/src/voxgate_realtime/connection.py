"""A client's connection as its session knows it: who accepted it, and is told what becomes of it."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from voxgate_realtime.relay import Relay

__all__ = ["Connection", "NoConnection"]


class Connection(Protocol):
    """What accepted the connection."""

    def proven(self) -> None:
        """The client has shown a valid credential."""
        ...

    def gone(self) -> None:
        """The connection is over."""
        ...

    def moved_to(self, relay: "Relay") -> None:
        """From now on the connection belongs to another session."""
        ...


class NoConnection:
    """In place of one that is over."""

    def proven(self) -> None:
        return None

    def gone(self) -> None:
        return None

    def moved_to(self, relay: "Relay") -> None:
        return None
