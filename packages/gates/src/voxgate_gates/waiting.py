"""Asks again until the answer is the one hoped for: for what a target does in its own time, and tells nobody of."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

__all__ = ["FIRST_PAUSE", "GROWTH", "LONGEST_PAUSE", "ask_until"]

FIRST_PAUSE: Final = 0.01
"""Seconds between the first two questions; also how far a measured time can be off when the answer comes soon."""

GROWTH: Final = 1.5
"""Each pause is so many times the one before, so that a slow target is not kept busy with being asked."""

LONGEST_PAUSE: Final = 0.25
"""Seconds that no pause exceeds, so that an answer is not seen much later than it was there."""

T = TypeVar("T")


async def ask_until(
    ask: Callable[[], Awaitable[T]],
    hoped: Callable[[T], bool],
    *,
    seconds: float,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """The first answer that is as ``hoped``, or else the last one, which was asked for when ``seconds`` were over.

    It is asked once at least, whatever ``seconds`` are. What ``ask`` raises ends it. ``now`` counts seconds,
    ``pause`` lets some pass.
    """
    deadline = now() + seconds
    wait = FIRST_PAUSE
    while True:
        is_last = now() >= deadline
        answer = await ask()
        if is_last or hoped(answer):
            return answer
        await pause(max(0.0, min(wait, deadline - now())))
        wait = min(wait * GROWTH, LONGEST_PAUSE)
