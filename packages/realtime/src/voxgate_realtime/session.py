"""The life of one relayed session.

Rules:

1. A session is born ``AUTHENTICATING`` when its WebSocket is accepted, and ends ``CLOSED`` when the client's
   connection is gone. Nothing leaves ``CLOSED``.
2. No byte of the client reaches the upstream before ``OPEN``. What it sends while ``CONNECTING`` is held, in order,
   within bounds; past the bounds the client is not read from.
3. ``CLOSING`` begins with the first reason to end, whoever gives it; later reasons change nothing.
4. A trigger that the table does not name for a state is ignored there: it came too late to matter.
5. A session whose client was cut off may wait for it, ``DETACHED``. Its upstream stays, what that says is kept, and
   the client that comes back finds it ``OPEN``. Nobody is there to close with: what ends it then ends it at once.

The diagram in the documentation is drawn from :data:`TRANSITIONS`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from voxgate_core import Grant, SessionClosed, VoxgateError
from voxgate_realtime.limits import RelayLimits

__all__ = ["TRANSITIONS", "Session", "State", "Trigger"]


class State(StrEnum):
    """Where a session stands."""

    AUTHENTICATING = "authenticating"
    CONNECTING = "connecting"
    OPEN = "open"
    DETACHED = "detached"
    CLOSING = "closing"
    CLOSED = "closed"


class Trigger(StrEnum):
    """What can move it on."""

    AUTHENTICATED = "authenticated"  # the credential was verified
    UPSTREAM_READY = "upstream_ready"  # the model server accepted the connection
    LOST = "lost"  # the client's connection broke, and the session waits for another one
    RESUMED = "resumed"  # the client came back on a new connection
    ENDED = "ended"  # either side, a bound, a revocation or a drain ends the session
    DISCONNECTED = "disconnected"  # the client's connection is gone


_S, _T = State, Trigger
TRANSITIONS: Mapping[tuple[State, Trigger], State] = MappingProxyType(
    {
        (_S.AUTHENTICATING, _T.AUTHENTICATED): _S.CONNECTING,
        (_S.AUTHENTICATING, _T.ENDED): _S.CLOSING,
        (_S.AUTHENTICATING, _T.DISCONNECTED): _S.CLOSED,
        (_S.CONNECTING, _T.UPSTREAM_READY): _S.OPEN,
        (_S.CONNECTING, _T.ENDED): _S.CLOSING,
        (_S.CONNECTING, _T.DISCONNECTED): _S.CLOSED,
        (_S.OPEN, _T.LOST): _S.DETACHED,
        (_S.DETACHED, _T.RESUMED): _S.OPEN,
        (_S.DETACHED, _T.ENDED): _S.CLOSED,
        (_S.OPEN, _T.ENDED): _S.CLOSING,
        (_S.OPEN, _T.DISCONNECTED): _S.CLOSED,
        (_S.CLOSING, _T.DISCONNECTED): _S.CLOSED,
    }
)
"""Every move there is."""


class Session:
    """State and held messages of one session. Times are the caller's monotonic seconds.

    ``grant`` is what its client was allowed when it came, with the session id that everyone is told. ``proofs`` are the
    tokens behind it: the first one, and that of the latest return. A revocation of any of them ends the session.
    """

    __slots__ = (
        "_limits",
        "_pending",
        "_pending_bytes",
        "close_code",
        "close_reason",
        "grant",
        "proofs",
        "started",
        "state",
    )

    def __init__(self, limits: RelayLimits, started: float) -> None:
        self._limits = limits
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self.state = State.AUTHENTICATING
        self.grant: Grant | None = None
        self.proofs: tuple[Grant, ...] = ()
        self.started = started
        self.close_code = 1006  # what a peer sees of a connection that ends without a close frame
        self.close_reason = ""

    def advance(self, trigger: Trigger) -> bool:
        """Move on if the table says so; whether it did."""
        after = TRANSITIONS.get((self.state, trigger))
        if after is None:
            return False
        self.state = after
        if after in (State.CLOSING, State.CLOSED):
            self._pending.clear()
            self._pending_bytes = 0
        return True

    def end(self, code: int, reason: str) -> bool:
        """Begin to close with ``code``; ``False`` when the session was ending already."""
        if not self.advance(Trigger.ENDED):
            return False
        self.close_code = code
        self.close_reason = reason
        return True

    def hold(self, message: bytes) -> bool:
        """Keep a screened client message for the upstream; whether there is room for more."""
        self._pending.append(message)
        self._pending_bytes += len(message)
        return len(self._pending) < self._limits.pending_messages and self._pending_bytes < self._limits.pending_bytes

    def take_pending(self) -> list[bytes]:
        """What was held, in order; the session holds it no longer."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        return pending

    def time_is_up(self) -> VoxgateError:
        """Why it ends after :attr:`seconds_allowed`: by its grant, or by the deployment's limit."""
        leash = None if self.grant is None else self.grant.leash.seconds
        if leash is not None and leash <= self._limits.session_seconds:
            return VoxgateError("quota_exceeded", "the session's time is used up")
        return VoxgateError("session_limit")

    @property
    def seconds_allowed(self) -> float:
        """How long this session may live: its leash, or the deployment's limit, whichever is shorter."""
        leash = None if self.grant is None else self.grant.leash.seconds
        return self._limits.session_seconds if leash is None else min(leash, self._limits.session_seconds)

    def summary(
        self, now: float, *, client: tuple[int, int] = (0, 0), upstream: tuple[int, int] = (0, 0)
    ) -> SessionClosed | None:
        """How it went; ``None`` for one that was never authenticated.

        ``client`` and ``upstream`` are how many messages and bytes came from each.
        """
        if self.grant is None:
            return None
        return SessionClosed(
            session_id=self.grant.session_id,
            subject=self.grant.subject,
            code=self.close_code,
            reason=self.close_reason,
            seconds=now - self.started,
            client_messages=client[0],
            client_bytes=client[1],
            upstream_messages=upstream[0],
            upstream_bytes=upstream[1],
        )
