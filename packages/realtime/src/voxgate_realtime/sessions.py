"""The sockets of this process: how many, and which of them a revocation or a drain ends."""

from collections.abc import Callable, Iterator
from typing import Protocol

from voxgate_core import Grant, VoxgateError
from voxgate_realtime.limits import RelayLimits

__all__ = ["LiveSession", "Sessions"]


class LiveSession(Protocol):
    """What the registry needs of a connection."""

    @property
    def grant(self) -> Grant | None: ...

    def refuse(self, error: VoxgateError) -> None: ...


class Sessions:
    """A register of live connections, bounded by :class:`RelayLimits`."""

    def __init__(self, limits: RelayLimits) -> None:
        self._limits = limits
        self._live: set[LiveSession] = set()
        self._unauthenticated: dict[LiveSession, list[Callable[[Grant], bool]]] = {}

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[LiveSession]:
        return iter(tuple(self._live))

    @property
    def unauthenticated(self) -> int:
        """Sockets that have shown no valid credential yet."""
        return len(self._unauthenticated)

    def make_room(self) -> None:
        """Raises :class:`VoxgateError` ``capacity_exceeded`` when even refusing politely would cost too much: a
        refused socket stays until it answers its close frame, and so many are already waiting to."""
        if len(self._live) >= self._limits.max_sessions + self._limits.max_unauthenticated:
            raise VoxgateError("capacity_exceeded")

    def enter(self, session: LiveSession) -> None:
        """Count a new socket. Raises :class:`VoxgateError` ``capacity_exceeded`` over a bound; it counts anyway,
        because it stays open until its close frame is answered."""
        full = len(self._live) >= self._limits.max_sessions
        crowded = len(self._unauthenticated) >= self._limits.max_unauthenticated
        self._live.add(session)
        self._unauthenticated[session] = []
        if full or crowded:
            raise VoxgateError("capacity_exceeded")

    def authenticated(self, session: LiveSession, grant: Grant) -> None:
        """Count a socket as authenticated.

        Raises :class:`VoxgateError` ``token_revoked`` when the grant was revoked while it was being verified: the
        verifier may have looked just before.
        """
        revocations = self._unauthenticated.pop(session, [])
        if any(revoked(grant) for revoked in revocations):
            raise VoxgateError("token_revoked")

    def leave(self, session: LiveSession) -> None:
        """Forget a socket that is gone."""
        self._live.discard(session)
        self._unauthenticated.pop(session, None)

    def revoke(self, revoked: Callable[[Grant], bool]) -> int:
        """Close every live session whose grant ``revoked`` matches, now or when it turns out; how many closed now."""
        for verdicts in self._unauthenticated.values():
            verdicts.append(revoked)
        matching = [session for session in self._live if session.grant is not None and revoked(session.grant)]
        for session in matching:
            session.refuse(VoxgateError("token_revoked"))
        return len(matching)
