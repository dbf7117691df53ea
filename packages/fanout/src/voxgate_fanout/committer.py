"""Group commit: whatever wants into a lane while the disk is busy goes there in one record."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Final

from voxgate_core import VoxgateError
from voxgate_fanout.records import MAX_ITEMS, Item, encode_record, pack

__all__ = ["MAX_WAITING", "MAX_WAITING_BYTES", "Committer"]

MAX_WAITING: Final = 10_000
"""Items that wait for the disk; the next one is refused."""

MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Bytes of the same."""

logger = logging.getLogger("voxgate.fanout")


class Committer:
    """Hands records to ``put``, which stores one, ``writes`` of them at a time with ``most`` items in each.

    With one write order is kept, also when it fails: whoever waits behind it is refused with it, for he would overtake
    those that come again.
    """

    def __init__(self, put: Callable[[bytes], Awaitable[None]], *, writes: int = 1, most: int = MAX_ITEMS) -> None:
        self._put = put
        self._writes = writes
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[None]]] = deque()
        self._bytes = 0
        self._writers: set[asyncio.Task[None]] = set()

    def commit(self, item: Item) -> "asyncio.Future[None]":
        """Done once the item is durable; its place in the lane is taken now.

        The future raises :class:`VoxgateError` ``unavailable``, or ``capacity_exceeded`` when too much waits already.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        if len(self._waiting) >= MAX_WAITING or self._bytes + item.size > MAX_WAITING_BYTES:
            done.set_exception(VoxgateError("capacity_exceeded", "too many events wait to be stored; try again"))
            return done
        self._waiting.append((item, done))
        self._bytes += item.size
        if len(self._writers) < self._writes:
            self._start()
        return done

    async def idle(self) -> None:
        """Return once nothing waits and nothing is being written."""
        while self._writers:
            await asyncio.wait(self._writers)

    def _start(self) -> None:
        writer = asyncio.get_running_loop().create_task(self._write())
        self._writers.add(writer)
        writer.add_done_callback(self._wrote)

    def _wrote(self, writer: "asyncio.Task[None]") -> None:
        self._writers.discard(writer)
        # What came after the writer had looked for the last time, and before this, found a writer and started none.
        if self._waiting and not writer.cancelled():
            self._start()

    async def _write(self) -> None:
        while self._waiting:
            count = pack((item for item, _ in self._waiting), most=self._most)
            batch = self._take(count)
            try:
                await self._put(encode_record([item for item, _ in batch]))
            except VoxgateError as error:
                self._refuse(batch, error)
            except Exception:
                logger.exception("a record could not be stored, for a reason that was not foreseen")
                self._refuse(batch, VoxgateError("unavailable", "the event was not stored; try again"))
            except asyncio.CancelledError:
                # The process ends; nobody writes what waits any more.
                _tell(batch + self._take(len(self._waiting)), VoxgateError("unavailable", "the gateway is going down"))
                raise
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    def _take(self, count: int) -> list[tuple[Item, "asyncio.Future[None]"]]:
        batch = list(islice(self._waiting, count))
        for item, _ in batch:
            self._waiting.popleft()
            self._bytes -= item.size
        return batch

    def _refuse(self, batch: list[tuple[Item, "asyncio.Future[None]"]], error: VoxgateError) -> None:
        behind = self._take(len(self._waiting)) if self._writes == 1 else []
        _tell(batch + behind, error)


def _tell(refused: Iterable[tuple[Item, "asyncio.Future[None]"]], error: VoxgateError) -> None:
    for _, done in refused:
        if not done.done():
            # One for each: an exception that is raised in many places gathers their tracebacks.
            done.set_exception(VoxgateError(error.code, error.message, retry_after=error.retry_after))
