"""The sessions of this process: how many, which of them wait for their client, and what a revocation or a drain ends."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from voxgate_core import Grant, VoxgateError
from voxgate_realtime.limits import RelayLimits

__all__ = ["LiveSession", "Sessions"]


class LiveSession(Protocol):
    """What the registry needs of a connection."""

    @property
    def grant(self) -> Grant | None: ...

    @property
    def proofs(self) -> tuple[Grant, ...]: ...

    def refuse(self, error: VoxgateError) -> None: ...


S = TypeVar("S", bound=LiveSession)


class Sessions(Generic[S]):
    """A register of live connections and of sessions without one, bounded by :class:`RelayLimits`."""

    def __init__(self, limits: RelayLimits) -> None:
        self._limits = limits
        self._live: set[S] = set()
        self._detached: dict[S, None] = {}  # in the order in which they lost their client
        self._token: dict[S, str] = {}
        self._per_token: Counter[str] = Counter()
        self._draining = False
        self._verifying: dict[S, list[Callable[[Grant], bool]]] = {}
        self._without_credential: set[S] = set()
        self._refused: set[S] = set()

    def __len__(self) -> int:
        return len(self._live) + len(self._detached) + len(self._refused)

    def __iter__(self) -> Iterator[S]:
        return iter((*self._live, *self._detached, *self._refused))

    @property
    def detached(self) -> int:
        """Sessions that wait for their client to come back."""
        return len(self._detached)

    @property
    def unauthenticated(self) -> int:
        """Sockets that brought no credential along and have shown none yet."""
        return len(self._without_credential)

    def enter(self, session: S, *, with_credential: bool) -> None:
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

    def authenticated(self, session: S, grant: Grant) -> None:
        """Count a socket as authenticated.

        Raises :class:`VoxgateError` ``token_revoked`` when the grant was revoked while it was being verified: the
        verifier may have looked just before; ``quota_exceeded`` when its token has as many connections as it may.
        """
        self._without_credential.discard(session)
        revocations = self._verifying.pop(session, [])
        if any(revoked(grant) for revoked in revocations):
            raise VoxgateError("token_revoked")
        if self._per_token[grant.token_id] >= self._limits.max_sessions_per_token:
            raise VoxgateError("quota_exceeded", "this token has as many sessions open as it may")
        self._token[session] = grant.token_id
        self._per_token[grant.token_id] += 1

    def find(self, session_id: str) -> S | None:
        """The session with this id, whether its client is here or not."""
        for session in (*self._detached, *self._live):
            if session.grant is not None and session.grant.session_id == session_id:
                return session
        return None

    @property
    def may_wait(self) -> bool:
        """Whether a session may wait for its client: not when this node is going down."""
        return self._limits.resume_grace > 0 and not self._draining

    def detach(self, session: S) -> None:
        """A session waits for its client. Over the bound the one that has waited longest is ended."""
        self._live.discard(session)
        self._detached[session] = None
        if len(self._detached) > self._limits.max_detached:
            next(iter(self._detached)).refuse(VoxgateError("capacity_exceeded"))

    def attach(self, session: S) -> None:
        """The client of a session is here again."""
        self._detached.pop(session, None)
        self._live.add(session)

    def drain(self) -> None:
        """End the sessions that wait, and let none wait from now on."""
        self._draining = True
        for session in tuple(self._detached):
            session.refuse(VoxgateError("draining"))

    def refused(self, session: S) -> bool:
        """An unauthenticated socket was refused; whether it may stay until it has answered its close frame.

        Refused sockets take no room from others. As many as may be unauthenticated wait at a time, the rest are cut.
        """
        self._forget(session)
        if len(self._refused) >= self._limits.max_unauthenticated:
            return False
        self._refused.add(session)
        return True

    def leave(self, session: S) -> None:
        """Forget a socket that is gone."""
        self._forget(session)
        self._refused.discard(session)

    def _forget(self, session: S) -> None:
        self._live.discard(session)
        self._detached.pop(session, None)
        self._verifying.pop(session, None)
        self._without_credential.discard(session)
        token = self._token.pop(session, None)
        if token is not None:
            self._per_token[token] -= 1
            if not self._per_token[token]:
                del self._per_token[token]

    def revoke(self, revoked: Callable[[Grant], bool]) -> int:
        """Close every session behind which is a grant that ``revoked`` matches, now or when it turns out; how many now."""
        for verdicts in self._verifying.values():
            verdicts.append(revoked)
        known = (*self._live, *self._detached)
        matching = [session for session in known if any(revoked(proof) for proof in session.proofs)]
        for session in matching:
            session.refuse(VoxgateError("token_revoked"))
        return len(matching)
