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
        self._verifying: dict[LiveSession, list[Callable[[Grant], bool]]] = {}
        self._without_credential: set[LiveSession] = set()
        self._refused: set[LiveSession] = set()

    def __len__(self) -> int:
        return len(self._live) + len(self._refused)

    def __iter__(self) -> Iterator[LiveSession]:
        return iter((*self._live, *self._refused))

    @property
    def unauthenticated(self) -> int:
        """Sockets that brought no credential along and have shown none yet."""
        return len(self._without_credential)

    def enter(self, session: LiveSession, *, with_credential: bool) -> None:
        """Count a new socket. Raises :class:`VoxgateError` ``capacity_exceeded`` over a bound.

        Sockets that brought a credential along are not turned away for a crowd of those that did not.
        """
        full = len(self._live) >= self._limits.max_sessions
        crowded = not with_credential and len(self._without_credential) >= self._limits.max_unauthenticated
        if full or crowded:
            raise VoxgateError("capacity_exceeded")
        self._live.add(session)
        self._verifying[session] = []
        if not with_credential:
            self._without_credential.add(session)

    def authenticated(self, session: LiveSession, grant: Grant) -> None:
        """Count a socket as authenticated.

        Raises :class:`VoxgateError` ``token_revoked`` when the grant was revoked while it was being verified: the
        verifier may have looked just before.
        """
        self._without_credential.discard(session)
        revocations = self._verifying.pop(session, [])
        if any(revoked(grant) for revoked in revocations):
            raise VoxgateError("token_revoked")

    def refused(self, session: LiveSession) -> bool:
        """An unauthenticated socket was refused; whether it may stay until it has answered its close frame.

        Refused sockets take no room from others. As many as may be unauthenticated wait at a time, the rest are cut.
        """
        self._forget(session)
        if len(self._refused) >= self._limits.max_unauthenticated:
            return False
        self._refused.add(session)
        return True

    def leave(self, session: LiveSession) -> None:
        """Forget a socket that is gone."""
        self._forget(session)
        self._refused.discard(session)

    def _forget(self, session: LiveSession) -> None:
        self._live.discard(session)
        self._verifying.pop(session, None)
        self._without_credential.discard(session)

    def revoke(self, revoked: Callable[[Grant], bool]) -> int:
        """Close every live session whose grant ``revoked`` matches, now or when it turns out; how many closed now."""
        for verdicts in self._verifying.values():
            verdicts.append(revoked)
        matching = [session for session in self._live if session.grant is not None and revoked(session.grant)]
        for session in matching:
            session.refuse(VoxgateError("token_revoked"))
        return len(matching)
