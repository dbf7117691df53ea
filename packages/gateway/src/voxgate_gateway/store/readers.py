"""Says who asks for conversations, and whose they may see: their own, or everybody's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from voxgate_core import OriginGate, header_values
from voxgate_security import Authenticators

__all__ = ["Reader", "ReaderGate", "Readers"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks. ``operates``: may see and delete the conversations of every subject."""

    subject: str
    operates: bool


class Readers(Protocol):
    """What the routes ask."""

    async def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> Reader:
        """Who sent a request with these headers, names in lower case.

        Raises ``VoxgateError`` ``origin_refused``, ``credential_missing``, ``credential_invalid`` or ``unavailable``.
        """
        ...


class ReaderGate:
    """Implements :class:`Readers`. Unlike core's ``CallerGate`` it lets in end users: what they said is theirs."""

    def __init__(self, origins: OriginGate, authenticators: Authenticators) -> None:
        self._origins = origins
        self._authenticators = authenticators

    async def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> Reader:
        self._origins.admit(header_values(headers, b"origin"))
        caller = await self._authenticators.authenticate(header_values(headers, b"authorization"))
        return Reader(caller.subject, caller.role.operates)
