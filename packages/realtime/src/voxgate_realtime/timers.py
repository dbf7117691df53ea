"""What one session has to do later: set, and called off all at once."""

import asyncio
from collections.abc import Callable
from typing import TypeVarTuple

__all__ = ["Timers"]

Ts = TypeVarTuple("Ts")


class Timers:
    """Timers of one session on ``loop``."""

    __slots__ = ("_loop", "_set")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._set: dict[object, asyncio.Handle] = {}

    def after(self, seconds: float, call: Callable[[*Ts], object], *args: *Ts) -> None:
        """Call ``call`` with ``args`` in so many seconds."""
        key = object()

        def fire() -> None:
            del self._set[key]
            call(*args)

        self._set[key] = self._loop.call_later(seconds, fire)

    def cancel(self) -> None:
        """None of them fires any more."""
        for timer in self._set.values():
            timer.cancel()
        self._set.clear()
