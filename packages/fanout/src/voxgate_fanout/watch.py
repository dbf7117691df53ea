"""Looks now and then whether targets keep up with what waits for them, and knows when the loop itself did not.

A loop that was busy elsewhere sees a delivery end late, and its own timers too. What waited meanwhile is no target's
fault: after a late look, waiting is measured anew.
"""

import asyncio
import math
from typing import Final, Protocol

__all__ = ["LATE", "LOOK_SECONDS", "MAX_LATE", "Watch", "Watched"]

LOOK_SECONDS: Final = 0.05
"""Time between two looks while anything waits."""

LATE: Final = 0.05
"""Seconds after its time from which a look is late. A shorter stall of the loop takes too little from a target to matter."""

MAX_LATE: Final = 20
"""Late looks in a row that are taken for the loop's fault; a loop that is always late must not spare a target for ever."""


class Watched(Protocol):
    """What is looked at."""

    def look(self, now: float, since: float) -> bool:
        """Whether to look again. Nothing that was waited for before ``since`` counts; times are the loop's."""
        ...


class Watch:
    """One for all outboxes of a process; it costs nothing while nothing waits."""

    def __init__(self) -> None:
        self._watched: dict[Watched, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._since = -math.inf
        self._late = 0

    def add(self, watched: Watched) -> None:
        """Look at it until it says no."""
        self._watched[watched] = None
        if self._timer is None:
            self._arm()

    def close(self) -> None:
        """Look no more."""
        self._watched.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + LOOK_SECONDS
        self._timer = loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        if now - self._due <= LATE:
            self._late = 0
        elif self._late < MAX_LATE:
            self._late += 1
            self._since = now
        for watched in list(self._watched):
            if not watched.look(now, self._since):
                del self._watched[watched]
        if self._watched:
            self._arm()
