"""When a target counts as down, and when as up again. Pure.

Rules:

1. A target is ``UP`` until :data:`FAILURES` looks in a row have failed: one lost packet wakes nobody.
2. It is ``DOWN`` until :data:`SUCCESSES` looks in a row went well: a server that falls over again is not back.
3. A look of the other kind begins the count anew.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["FAILURES", "SUCCESSES", "State", "Watch"]

FAILURES: Final = 3
SUCCESSES: Final = 2


class State(StrEnum):
    """How a target stands."""

    UP = "up"
    DOWN = "down"


NEEDED: Final = {State.UP: FAILURES, State.DOWN: SUCCESSES}
"""Looks in a row that speak against a state until it is left."""


@dataclass(slots=True)
class Watch:
    """One target, as far as it has been looked at. ``against`` counts the looks in a row that speak against ``state``."""

    state: State = State.UP
    against: int = 0

    def note(self, *, is_up: bool) -> bool:
        """Take in one look; whether the state changed by it."""
        if is_up == (self.state is State.UP):
            self.against = 0
            return False
        self.against += 1
        if self.against < NEEDED[self.state]:
            return False
        self.state, self.against = (State.UP if is_up else State.DOWN), 0
        return True
