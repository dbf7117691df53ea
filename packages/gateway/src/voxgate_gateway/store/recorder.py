"""Takes what the relay tells, without ever making it wait, and has it written as fast as the database allows."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import islice
from typing import Final

from voxgate_core import SESSION_ENDED, Event, Grant, NullObserver, VoxgateError
from voxgate_gateway.store.modes import StoreMode, mode_for
from voxgate_gateway.store.rows import KEPT, Waiting, session_of

__all__ = ["Recorder"]

MAX_WAITING: Final = 10_000
"""Events that wait to be written; the next one is dropped and counted. About a minute of a thousand busy sessions."""

MAX_WAITING_TEXT: Final = 32 * 1024**2
"""Characters in the events that wait; one that would exceed them is dropped too. At worst 128 MiB of memory."""

AT_ONCE: Final = 128
"""Events of one transaction. More of them go faster to disk, and keep the loop, which relays audio, longer in one go."""

LINGER_SECONDS: Final = 0.25
"""How long an event waits for others to be written with: a transaction costs the loop as much as a hundred events."""

WRITE_SECONDS: Final = 15.0
"""How long one transaction may take before it is given up and tried again."""

RETRY_SECONDS: Final = 0.5
"""Pause before the first new try; each further one waits twice as long."""

LONGEST_PAUSE: Final = 5.0
"""Seconds; pauses grow no longer than this."""

FLUSH_SECONDS: Final = 5.0
"""How long a gateway that stops waits for what is not written yet; the rest is dropped and counted."""

REPORT_EVERY: Final = 1000
"""Dropped events for one line in the log, after the first."""

logger = logging.getLogger("voxgate.store")


class Recorder(NullObserver):
    """Core's ``EventSink`` and ``SessionObserver`` in front of ``write``, which stores some events or raises.

    It must be told of a session as an observer before that session's first event: only the grant says how much its
    holder agreed to. Events of a session it was not told of are not kept. ``write`` raises ``VoxgateError``
    ``unavailable`` when the same events may be tried again, anything else for an event that can't be stored.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Waiting]], Awaitable[None]],
        mode: StoreMode,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        most: int = MAX_WAITING,
        most_text: int = MAX_WAITING_TEXT,
        write_seconds: float = WRITE_SECONDS,
    ) -> None:
        self.dropped = 0
        self.written = 0
        self._write = write
        self._mode = mode
        self._pause = pause
        self._most = most
        self._most_text = most_text
        self._write_seconds = write_seconds
        self._sessions: dict[str, tuple[StoreMode, int]] = {}
        self._waiting: deque[Waiting] = deque()
        self._text = 0
        self._flushing = 0
        self._more = asyncio.Event()
        self._hurry = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def opened(self, grant: Grant) -> None:
        mode, connections = self._sessions.get(grant.session_id, (self._mode, 0))
        mode = min(mode, mode_for(self._mode, grant.scope), key=lambda one: one.rank)
        self._sessions[grant.session_id] = mode, connections + 1

    # That a session closed says nothing here: its last event is still to come.

    def publish(self, event: Event) -> None:
        if event.type not in KEPT:
            return
        session = session_of(event) or ""
        mode, connections = self._sessions.get(session, (StoreMode.OFF, 0))
        if event.type == SESSION_ENDED and connections:
            if connections == 1:
                del self._sessions[session]
            else:
                self._sessions[session] = mode, connections - 1
        if mode is StoreMode.OFF:
            return
        size = _size(event)
        if len(self._waiting) >= self._most or self._text + size > self._most_text:
            self._drop("they come faster than they can be written")
            return
        self._text += size
        self._waiting.append(Waiting(event, mode))
        self._more.set()
        self._empty.clear()
        if len(self._waiting) >= AT_ONCE:
            self._hurry.set()

    @contextlib.asynccontextmanager
    async def running(self, *, flush_seconds: float = FLUSH_SECONDS) -> AsyncIterator[None]:
        """Write while the body runs; then what is left, for ``flush_seconds`` at most."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(flush_seconds):
                    await self.flushed()
            task.cancel()
            await asyncio.wait([task])
            if self._waiting:
                self.dropped += len(self._waiting)
                logger.error("events were not stored before the end", extra={"n": len(self._waiting)})
                self._waiting.clear()

    async def flushed(self) -> None:
        """Write what was published at once, and return when that is done."""
        self._flushing += 1
        self._hurry.set()
        try:
            await self._empty.wait()
        finally:
            self._flushing -= 1

    def summary(self) -> dict[str, object]:
        """What ``/api/health`` shows."""
        return {"mode": self._mode.value, "waiting": len(self), "written": self.written, "dropped": self.dropped}

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    await self._hurry.wait()
            batch = list(islice(self._waiting, AT_ONCE))
            await self._store(batch)
            for _ in batch:
                self._text -= _size(self._waiting.popleft().event)
            if len(self._waiting) < AT_ONCE and not self._flushing:
                self._hurry.clear()
            if not self._waiting:
                self._more.clear()
                self._empty.set()

    async def _store(self, batch: Sequence[Waiting]) -> None:
        """Have ``batch`` written, however long that takes; what can't be written ever is dropped."""
        pause = RETRY_SECONDS
        while True:
            try:
                async with asyncio.timeout(self._write_seconds):
                    await self._write(batch)
            except TimeoutError:
                logger.warning("the conversation store takes too long")
            except Exception as error:
                if not (isinstance(error, VoxgateError) and error.code == "unavailable"):
                    await self._store_singly(batch, error)
                    return
            else:
                self.written += len(batch)
                return
            await self._pause(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _store_singly(self, batch: Sequence[Waiting], error: Exception) -> None:
        if len(batch) == 1:
            # Neither the message nor the event is shown: both may quote what was said.
            self._drop(f"{batch[0].event.type} can't be stored: {type(error).__name__}")
            return
        for waiting in batch:
            await self._store([waiting])

    def _drop(self, why: str) -> None:
        self.dropped += 1
        if self.dropped % REPORT_EVERY == 1:
            logger.error("events of conversations are dropped: %s", why, extra={"n": self.dropped})


def _size(event: Event) -> int:
    """Characters of what was said."""
    text = event.data.get("text") or event.data.get("arguments")
    return len(text) if isinstance(text, str) else 0
