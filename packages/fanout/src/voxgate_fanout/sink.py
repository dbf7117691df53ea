"""Takes events from those who must not wait, and stores them as fast as the backplane allows."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final

from voxgate_core import Event, VoxgateError

__all__ = ["BufferedSink", "passes"]

MAX_BUFFERED: Final = 10_000
"""Events that wait to be stored; the next one is dropped and counted. About a minute of a thousand busy sessions."""

AT_ONCE: Final = 256
"""Events handed on together."""

RETRY_SECONDS: Final = 1.0
"""Pause before the same events are handed on again that could not be stored."""

REPORT_EVERY: Final = 1000
"""Dropped events for one line in the log, after the first."""

SERVER_FAULT: Final = 500
"""Refusals from here on are the store's fault, and pass."""

logger = logging.getLogger("voxgate.fanout")


def passes(error: BaseException) -> bool:
    """Whether it is the store's fault: then the same event may be stored later."""
    return isinstance(error, VoxgateError) and error.kind.status >= SERVER_FAULT


class BufferedSink:
    """:class:`voxgate_core.EventSink` in front of ``accept``, which stores one event or raises ``VoxgateError``."""

    def __init__(
        self,
        accept: Callable[[Event], Awaitable[object]],
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        most: int = MAX_BUFFERED,
    ) -> None:
        self.dropped = 0
        self._accept = accept
        self._pause = pause
        self._most = most
        self._events: deque[Event] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._events)

    def publish(self, event: Event) -> None:
        if len(self._events) >= self._most:
            self.dropped += 1
            if self.dropped % REPORT_EVERY == 1:
                logger.error("events are dropped: they come faster than they can be stored", extra={"n": self.dropped})
            return
        self._events.append(event)
        self._more.set()
        self._empty.clear()

    async def run(self) -> None:
        """Hand on what comes, in its order, until cancelled."""
        while True:
            await self._more.wait()
            batch = list(islice(self._events, AT_ONCE))
            results = await asyncio.gather(*(self._accept(event) for event in batch), return_exceptions=True)
            again: list[Event] = []
            for result in results:
                event = self._events.popleft()
                if not isinstance(result, BaseException):
                    continue
                if passes(result):
                    again.append(event)
                else:
                    self._refused(event, result)
            if again:
                self._events.extendleft(reversed(again))
                await self._pause(RETRY_SECONDS)
            if not self._events:
                self._more.clear()
                self._empty.set()

    async def flushed(self) -> None:
        """Return once everything that was published is stored."""
        await self._empty.wait()

    def _refused(self, event: Event, error: BaseException) -> None:
        self.dropped += 1
        logger.error("an event of our own can't be stored", extra={"type": event.type}, exc_info=error)
