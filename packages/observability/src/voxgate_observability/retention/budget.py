"""How long a run may go on: until its time is up, or until someone asks it to stop. And what it says meanwhile."""

from collections.abc import Callable
from typing import Final

from voxgate_core import Clock

__all__ = ["LOOK_EVERY", "TELL_SECONDS", "Budget"]

LOOK_EVERY: Final = 512
"""Entries between two looks at the clock: some milliseconds of work."""

TELL_SECONDS: Final = 5.0
"""Seconds between two lines of progress; a run shorter than this says nothing."""


class Budget:
    """``why`` is ``None`` while the run may go on, then the reason why not. ``tell`` takes lines of progress."""

    def __init__(self, clock: Clock, seconds: float, tell: Callable[[str], None] = lambda line: None) -> None:
        self.why: str | None = None
        self._clock = clock
        self._tell = tell
        self._deadline = clock.monotonic() + seconds
        self._tell_at = clock.monotonic() + TELL_SECONDS
        self._limit = f"time limit of {seconds:g} s"

    def stop(self, why: str) -> None:
        """End the run at the next entry. Safe to call in a signal handler; the first reason stays."""
        self.why = self.why or why

    def look(self, progress: Callable[[], str]) -> None:
        """Read the clock; ``progress`` is asked for a line when one is due."""
        now = self._clock.monotonic()
        if now >= self._deadline:
            self.stop(self._limit)
        if now >= self._tell_at:
            self._tell_at = now + TELL_SECONDS
            self._tell(progress())
