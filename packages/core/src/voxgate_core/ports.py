"""What one feature needs from another, as Protocols. The gateway hands each its giver."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from voxgate_core.errors import VoxgateError
from voxgate_core.grants import Grant

__all__ = [
    "CallerGate",
    "NullObserver",
    "OriginGate",
    "ResumeOutcome",
    "SessionClosed",
    "SessionObserver",
    "TokenVerifier",
]


class OriginGate(Protocol):
    """Judges the ``Origin`` header values of one request, HTTP or WebSocket alike."""

    def admit(self, origins: Sequence[bytes]) -> str | None:
        """The serialised origin that was let in, or ``None`` for an admitted client that sent none.

        Raises :class:`VoxgateError` ``origin_refused`` for anything else.
        """
        ...


class CallerGate(Protocol):
    """Judges who sends an HTTP request to one of the gateway's own routes."""

    async def admit(self, headers: Sequence[tuple[bytes, bytes]], *, operator: bool = False) -> str:
        """The caller's name. ``headers`` are the request's, names in lower case.

        A page's origin is judged first, then the credential, then whether its role suffices: a backend's key, or an
        operator's alone when ``operator`` is set. Raises :class:`VoxgateError` ``origin_refused``,
        ``credential_missing``, ``credential_invalid``, ``role_refused``, or ``unavailable``.
        """
        ...


class TokenVerifier(Protocol):
    """Verifies a session token."""

    async def verify(self, token: str, *, origin: str | None, single_use: bool) -> Grant:
        """The grant inside ``token``, spent when ``single_use``. Raises :class:`VoxgateError`."""
        ...


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """How one session ended. ``code`` is the close code the client saw; counts are whole messages and bytes."""

    session_id: str
    subject: str
    code: int
    reason: str
    seconds: float
    client_messages: int
    client_bytes: int
    upstream_messages: int
    upstream_bytes: int


class ResumeOutcome(StrEnum):
    """What became of a client's wish to have its session back."""

    RESUMED = "resumed"
    UNKNOWN = "unknown"  # no session with this id waits for this client, here or on a node that answers
    INCOMPLETE = "incomplete"  # there was one, but what the client had missed was not all held any more


class SessionObserver(Protocol):
    """Told about sessions. Called on the event loop: an observer does not wait and does not raise."""

    def opened(self, grant: Grant) -> None: ...

    def detached(self, grant: Grant) -> None:
        """The client's connection broke, and its session waits for it."""
        ...

    def resume_asked(self, grant: Grant, outcome: ResumeOutcome) -> None:
        """A client asked for a session. ``grant`` is that of the session, or the client's where there was none."""
        ...

    def refused(self, error: VoxgateError) -> None: ...

    def closed(self, summary: SessionClosed) -> None: ...


class NullObserver:
    """The observer before anything is wired."""

    def opened(self, grant: Grant) -> None:
        return None

    def detached(self, grant: Grant) -> None:
        return None

    def resume_asked(self, grant: Grant, outcome: ResumeOutcome) -> None:
        return None

    def refused(self, error: VoxgateError) -> None:
        return None

    def closed(self, summary: SessionClosed) -> None:
        return None
