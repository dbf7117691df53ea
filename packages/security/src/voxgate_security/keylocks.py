"""One lock for each key that somebody works on, within this process: whoever works on the same key waits its turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from voxgate_core import VoxgateError

__all__ = ["MAX_CALLERS", "MAX_KEYS", "KeyLocks"]

MAX_CALLERS: Final = 1_000
"""Callers that hold or await one key; the next is refused, for it would hardly have its turn in time."""

MAX_KEYS: Final = 10_000
"""Keys that are locked at one time; the next is refused rather than memory exhausted."""


@dataclass(slots=True)
class _Turn:
    """``callers`` hold or await ``lock``."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    callers: int = 0


class KeyLocks:
    """Locks by key. A lock is there as long as somebody holds or awaits it, and no longer."""

    def __init__(self, *, max_callers: int = MAX_CALLERS, max_keys: int = MAX_KEYS) -> None:
        self._max_callers = max_callers
        self._max_keys = max_keys
        self._turns: dict[str, _Turn] = {}

    def __len__(self) -> int:
        return len(self._turns)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for ``key`` in the order of asking, and have it to oneself inside the context.

        Raises :class:`VoxgateError` ``unavailable`` when too many wait already.
        """
        turn = self._turns.get(key)
        if turn is None:
            if len(self._turns) >= self._max_keys:
                raise _too_many()
            turn = self._turns[key] = _Turn()
        elif turn.callers >= self._max_callers:
            raise _too_many()
        turn.callers += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.callers -= 1
            if not turn.callers:
                del self._turns[key]


def _too_many() -> VoxgateError:
    return VoxgateError("unavailable", "too many requests of this kind at once; try again")
