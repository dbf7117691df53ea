"""An event loop whose time moves only when a test says so, and which knows when nothing is left to do."""

import asyncio
import selectors

from voxgate_core import ManualClock

__all__ = ["ManualLoop", "elapse", "manual_clock", "settle", "timers_left"]


MAX_TURNS = 200_000
"""Turns of the loop without a moment of rest, after which something must be running in circles."""


class _Selector(selectors.DefaultSelector):
    """Never waits: where a loop would, the test decides what happens."""

    loop: "ManualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        self.loop.turns += 1
        if not events and (timeout is None or timeout > 0):
            self.loop.turns = 0
            self.loop.rest(timeout)
        assert self.loop.turns < MAX_TURNS, "something runs in circles"
        return events


class ManualLoop(asyncio.SelectorEventLoop):
    """``clock`` is its time: timers, timeouts and sleeps of the tested code end when :func:`elapse` gets there.

    A test that waits for what can't come any more fails at once instead of hanging.
    """

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.turns = 0
        self.next_timer: float | None = None
        """Seconds to the next timer when nothing was left to do for the last time; ``None`` without any."""
        self._until: tuple[float, asyncio.Future[None]] | None = None
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.clock.monotonic()

    async def elapse(self, seconds: float) -> None:
        """Let time pass, from timer to timer, and everything happen that follows from it."""
        assert self._until is None, "time is being moved by somebody else"
        self._until = (self.time() + seconds, self.create_future())
        try:
            await self._until[1]
        finally:
            self._until = None

    def rest(self, timeout: float | None) -> None:
        """Nothing is left to do until ``timeout`` seconds have passed; ``None`` for ever."""
        self.next_timer = timeout
        if self._until is None or self._until[1].done():
            raise AssertionError("the test waits for time to pass, or for something that will never happen")
        until, done = self._until
        left = max(until - self.time(), 0.0)
        if timeout is not None and timeout <= left:
            self.clock.advance(timeout)
        else:
            self.clock.advance(left)
            done.set_result(None)


def manual_loop() -> ManualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ManualLoop), "the test module must set new_loop = ManualLoop"
    return loop


def manual_clock() -> ManualClock:
    """The clock of the running loop."""
    return manual_loop().clock


async def elapse(seconds: float) -> None:
    """See :meth:`ManualLoop.elapse`."""
    await manual_loop().elapse(seconds)


async def settle() -> None:
    """Return once nothing is left to do without time passing."""
    await manual_loop().elapse(0.0)


async def timers_left() -> bool:
    """Whether anything would still happen by itself if time went on."""
    await settle()
    return manual_loop().next_timer is not None
