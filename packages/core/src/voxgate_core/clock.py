"""The clock is a port, so that no test sleeps and no rule reads the wall by itself."""

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """Two readings: ``now`` is seconds since the Unix epoch, ``monotonic`` seconds that never run back."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to. Both readings advance together."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._elapsed = 0.0

    def now(self) -> float:
        return self._now + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move both readings on. Raises ``ValueError`` for a negative step."""
        if seconds < 0:
            raise ValueError("a clock does not run backwards; use set_now to move the wall clock")
        self._elapsed += seconds

    def set_now(self, now: float) -> None:
        """Step the wall clock, as NTP or an operator would; the monotonic reading stays."""
        self._now = now - self._elapsed
