"""How much of a conversation is kept: the deployment says at most how much, and each token may ask for less."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

__all__ = ["SCOPE_PREFIX", "StoreMode", "mode_for"]

SCOPE_PREFIX: Final = "store:"
"""A token's scope of this beginning names the mode that its holder agreed to."""


class StoreMode(StrEnum):
    """From least to most. What a mode keeps, every later one keeps too."""

    OFF = "off"  # nothing
    METADATA = "metadata"  # who, when, how much: no word that was said, no argument of a tool
    REDACTED = "redacted"  # words and arguments, without the personal data that can be recognised
    FULL = "full"  # words and arguments as they came

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS: Final = {mode: rank for rank, mode in enumerate(StoreMode)}


def mode_for(deployment: StoreMode, scope: Iterable[str]) -> StoreMode:
    """The mode of a session whose token has this scope: the least of the deployment's and those the token names.

    A scope such as ``store:all`` is no mode. Somebody asked for something about storing that is not known here, and
    nothing is kept.
    """
    asked = [word.removeprefix(SCOPE_PREFIX) for word in scope if word.startswith(SCOPE_PREFIX)]
    modes = [StoreMode(word) if word in _WORDS else StoreMode.OFF for word in asked]
    return min([deployment, *modes], key=lambda mode: mode.rank)


_WORDS: Final = frozenset(mode.value for mode in StoreMode)
