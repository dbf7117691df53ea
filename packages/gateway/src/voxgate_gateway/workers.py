"""Keeps the worker processes of one gateway: starts them, starts anew what dies, and stops them all.

Its rules:

1. All workers accept on one socket, which this process holds open too: while a worker is replaced, callers wait in
   the backlog and are not refused.
2. A worker that ends is started anew, after a pause that doubles with each failure in a row.
3. Until it was ready for the first time, a worker that can't start fails the start as a whole.
4. Stopping is SIGTERM to all at once, patience, then SIGKILL; from its first moment nothing is started any more.

What holds for each single process is in :mod:`voxgate_gateway.worker_process`.
"""

import asyncio
import contextlib
import logging
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from voxgate_core import Clock, SystemClock
from voxgate_gateway.worker_process import WorkerProcess

__all__ = ["WorkersFailed", "pause_before", "supervise"]

READY_SECONDS: Final = 30.0
"""From start to the ready line, on a busy machine; a worker that takes longer is killed."""

PATIENCE_SECONDS: Final = 30.0
"""From SIGTERM, or from the end of the drain where there is one, to SIGKILL: ten seconds for sessions, ten for fan-out,
five for the conversations that are not written yet, and a margin."""

REAP_SECONDS: Final = 5.0
"""How long killed workers may take to be gone; one that takes longer is left to the kernel, and logged."""

FIRST_PAUSE_SECONDS: Final = 0.5
"""Before a worker is started anew after its first failure; each further one in a row doubles it."""

LONGEST_PAUSE_SECONDS: Final = 30.0
"""Where doubling ends: what was broken and is mended serves again within this time."""

STEADY_SECONDS: Final = 60.0
"""A worker that was ready this long had started well: its end counts as a first failure."""

START_ATTEMPTS: Final = 3
"""Ends in a row before a worker was ever ready that fail the start."""

CONFIGURATION_STATUS: Final = 2
"""How a gateway exits whose configuration is at fault: starting it again would not help."""

logger = logging.getLogger("voxgate.gateway")


class WorkersFailed(Exception):
    """The workers could not be started; ``reason`` is a sentence.

    ``status`` is what the parent should exit with: that of the worker at fault, 128 and the signal's number where a
    signal ended it, otherwise 1. It is never 0.
    """

    def __init__(self, reason: str, status: int) -> None:
        self.reason = reason
        self.status = status
        super().__init__(reason)


async def supervise(
    command: Sequence[str],
    count: int,
    *,
    environ: Mapping[str, str],
    listener: socket.socket,
    ready: Callable[[], None],
    stop: asyncio.Event,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    patience: float = PATIENCE_SECONDS,
    ready_seconds: float = READY_SECONDS,
    clock: Clock | None = None,
) -> None:
    """Run ``count`` processes of ``command`` on ``listener`` until ``stop`` is set, then stop them and return.

    ``environ`` is their whole environment but for ``VOXGATE_WORKER``, which is ``1/4`` to ``4/4`` for four. ``ready``
    is called once, when every worker has said for the first time that it answers. ``patience`` is seconds from
    SIGTERM to SIGKILL. When it returns or raises, no worker is left and ``listener`` is closed: it closes as stopping
    begins, so that the port soon refuses callers whom nobody would answer.

    Await it on the main thread: workers are killed when the thread that started them ends. Raises
    :class:`WorkersFailed` when a worker can't start, and what ``ready`` raises. A cancellation stops the workers too,
    with the same patience; a second one kills them.
    """
    crew = _Crew(command, environ, listener.fileno(), ready, pause, ready_seconds, clock or SystemClock(), count)
    keeping = [asyncio.create_task(crew.keep(f"{index}/{count}")) for index in range(1, count + 1)]
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([asked, *keeping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        listener.close()
        await _dismiss(crew.running, [asked, *keeping], patience)
    for task in keeping:
        if not task.cancelled():
            task.result()


def pause_before(failures: int) -> float:
    """Seconds to wait before a worker is started anew that has failed ``failures`` times in a row, at least once."""
    # A float takes a thousand doublings and no more; far fewer reach the longest pause.
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 64))


@dataclass(frozen=True, slots=True)
class _Ending:
    """How one attempt at a worker ended."""

    what: str
    pid: int | None = None
    status: int | None = None  # negative for a signal; None: it did not end by itself
    ready_for: float = 0.0  # seconds
    is_hopeless: bool = False  # another attempt at a first start would end the same way


@dataclass
class _Crew:
    """All workers of one gateway."""

    command: Sequence[str]
    environ: Mapping[str, str]
    listener: int
    ready: Callable[[], None]
    pause: Callable[[float], Awaitable[None]]
    ready_seconds: float
    clock: Clock
    awaited: int  # workers that were never ready
    running: set[WorkerProcess] = field(default_factory=set)

    async def keep(self, slot: str) -> None:
        """Keep one worker running until cancelled. Raises :class:`WorkersFailed` when it never becomes ready."""
        failures = 0
        has_started = False

        def on_ready() -> None:
            nonlocal has_started
            if not has_started:
                has_started = True
                self._count_ready()

        while True:
            ending = await self._attempt(slot, on_ready)
            failures = 1 if ending.ready_for >= STEADY_SECONDS else failures + 1
            if not has_started and (ending.is_hopeless or failures >= START_ATTEMPTS):
                raise WorkersFailed(f"worker {slot} {ending.what}", _exit_status(ending.status))
            delay = pause_before(failures)
            extra = {"worker": slot, "pid": ending.pid, "status": ending.status, "pause": delay}
            logger.error("a worker %s; another is started after a pause", ending.what, extra=extra)
            await self.pause(delay)

    async def _attempt(self, slot: str, on_ready: Callable[[], None]) -> _Ending:
        """Start a worker and see it to its end."""
        try:
            worker = WorkerProcess(self.command, slot, environ=self.environ, listener=self.listener)
        except (OSError, subprocess.SubprocessError) as error:
            return _Ending(f"could not be started ({error}): mend the command, or free resources", is_hopeless=True)
        self.running.add(worker)
        try:
            async with asyncio.timeout(self.ready_seconds):
                await worker.changed.wait()
        except TimeoutError:
            worker.kill()
            await self._gone(worker)
            what = f"was not ready within {self.ready_seconds:g} s and was killed: its log may say what it waited for"
            return _Ending(what, worker.pid, is_hopeless=True)
        if not worker.is_ready:
            await self._gone(worker)
            what = f"{_ended(worker.status)} before it was ready: its last messages say why"
            return _Ending(what, worker.pid, worker.status, is_hopeless=worker.status == CONFIGURATION_STATUS)
        logger.info("a worker is ready", extra=worker.named)
        since = self.clock.monotonic()
        on_ready()
        await self._gone(worker)
        return _Ending(_ended(worker.status), worker.pid, worker.status, self.clock.monotonic() - since)

    async def _gone(self, worker: WorkerProcess) -> None:
        await worker.ended.wait()
        self.running.discard(worker)

    def _count_ready(self) -> None:
        self.awaited -= 1
        if not self.awaited:
            self.ready()


async def _dismiss(running: Iterable[WorkerProcess], tasks: Iterable[asyncio.Task[object]], patience: float) -> None:
    """End the tasks, so that nothing is started any more, and then every worker; a cancellation ends the patience."""
    try:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in running:
            worker.ask_to_stop()
        await _all_ended(running, patience)
    finally:
        for worker in running:
            if not worker.ended.is_set():
                logger.warning("a worker did not stop in time and is killed", extra=worker.named)
                worker.kill()
        await _all_ended(running, REAP_SECONDS)
        for worker in running:
            if worker.ended.is_set():
                logger.info("a worker has stopped", extra={**worker.named, "status": worker.status})
            else:
                logger.error("a killed worker does not end; look for a stuck disk or device", extra=worker.named)


async def _all_ended(workers: Iterable[WorkerProcess], seconds: float) -> None:
    """Until all have ended, and at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for worker in workers:
                await worker.ended.wait()


def _ended(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


def _exit_status(status: int | None) -> int:
    if status is None:
        return 1
    return 128 - status if status < 0 else status or 1
