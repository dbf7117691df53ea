"""A circuit breaker: it spares a target that is down, and notices when it is back.

Rules:

1. A breaker is born ``CLOSED``: everything passes. The :data:`FAILURES`-th failure in a row opens it.
2. While ``OPEN`` nothing passes. It stays so for :data:`OPEN_SECONDS`, and twice as long each further time in a row,
   up to :data:`MAX_OPEN_SECONDS`.
3. Then it is ``HALF_OPEN`` and one delivery passes, the probe. The first failure reported meanwhile is taken for the
   probe's. One that has not reported after :data:`PROBE_SECONDS` is given up, and another passes.
4. A success closes it in any state, whichever delivery brings it, and what was counted is forgotten.
5. A report that the table does not name for a state changes nothing there: it is of a delivery begun before.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = [
    "FAILURES",
    "MAX_OPEN_SECONDS",
    "OPEN_SECONDS",
    "PROBE_SECONDS",
    "TRANSITIONS",
    "Breaker",
    "BreakerState",
    "BreakerTrigger",
]

FAILURES: Final = 5
"""Failures in a row after which a target is taken for down."""

OPEN_SECONDS: Final = 5.0
"""How long a breaker stays open the first time."""

MAX_OPEN_SECONDS: Final = 300.0
"""The longest it stays open: how late at most it notices that a target is back."""

PROBE_SECONDS: Final = 30.0
"""How long a probe may go without a report, as long as the lease of a job; then its worker is taken for dead."""


class BreakerState(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerTrigger(StrEnum):
    """What can move it on."""

    TRIPPED = "tripped"  # the last of too many failures in a row
    RESTED = "rested"  # its time to be open is over, and a delivery asks
    FAILED = "failed"  # a delivery failed
    SUCCEEDED = "succeeded"  # a delivery succeeded


_S, _T = BreakerState, BreakerTrigger
TRANSITIONS: Mapping[tuple[BreakerState, BreakerTrigger], BreakerState] = MappingProxyType(
    {
        (_S.CLOSED, _T.TRIPPED): _S.OPEN,
        (_S.OPEN, _T.RESTED): _S.HALF_OPEN,
        (_S.OPEN, _T.SUCCEEDED): _S.CLOSED,
        (_S.HALF_OPEN, _T.FAILED): _S.OPEN,
        (_S.HALF_OPEN, _T.SUCCEEDED): _S.CLOSED,
    }
)
"""Every move there is."""


class Breaker:
    """The breaker of one target. Times are the caller's monotonic seconds."""

    __slots__ = ("_failures", "_open_seconds", "retry_at", "state")

    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self.retry_at = 0.0  # when the next probe may pass; means nothing while closed
        self._failures = 0
        self._open_seconds = OPEN_SECONDS

    def allows(self, now: float) -> bool:
        """Whether a delivery may pass now. Whoever is let through a half-open breaker is the probe, and must report."""
        if self.state is BreakerState.CLOSED:
            return True
        if now < self.retry_at:
            return False
        self._advance(BreakerTrigger.RESTED)
        self.retry_at = now + PROBE_SECONDS
        return True

    def record(self, ok: bool, now: float) -> bool:
        """Report how a delivery went; whether that opened or closed the breaker."""
        if ok:
            self._failures = 0
            self._open_seconds = OPEN_SECONDS
            return self._advance(BreakerTrigger.SUCCEEDED)
        self._failures += 1
        trigger = BreakerTrigger.FAILED
        if self.state is BreakerState.CLOSED and self._failures >= FAILURES:
            trigger = BreakerTrigger.TRIPPED
        if not self._advance(trigger):
            return False
        self.retry_at = now + self._open_seconds
        self._open_seconds = min(2 * self._open_seconds, MAX_OPEN_SECONDS)
        return True

    def _advance(self, trigger: BreakerTrigger) -> bool:
        after = TRANSITIONS.get((self.state, trigger))
        if after is None:
            return False
        self.state = after
        return True
