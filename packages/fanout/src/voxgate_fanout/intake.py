"""Lets records of accepted events be taken from their lane, and be opened, while there is a use for their parcels.

More may be in hand than that: a worker asks for many at a time. They wait unopened, in the order in which they came.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from voxgate_core import LaneWorker
from voxgate_fanout.load import Load

__all__ = ["EVENT_RECORDS", "Intake", "IntakeClosed"]

EVENT_RECORDS: Final = 1024
"""Records of accepted events in hand in one process, most of them held up by one attempt that takes its time."""

T = TypeVar("T")


class IntakeClosed(Exception):
    """Nothing is opened here any more."""


class Intake:
    """``load`` is what the outboxes and the records in hand are counted in."""

    def __init__(self) -> None:
        self.load = Load(self._changed)
        self._worker: LaneWorker | None = None
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._will_look = False
        self._closed = False

    def feed(self, worker: LaneWorker) -> None:
        """The worker of the lane of accepted events, whose slots are ours from now on."""
        self._worker = worker
        self._changed()

    async def let_in(self, open_record: Callable[[], T]) -> T:
        """Call ``open_record`` when it is its turn, and return or raise what that does. Raises :class:`IntakeClosed`.

        It must not wait; it may be called from the event loop, with others before and after it.
        """
        if self._closed:
            raise IntakeClosed
        if self.load.may_open and not self._waiting:
            return open_record()
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((open_record, turn))
        return await turn

    def close(self) -> None:
        """Take and open nothing more, and turn away who waits."""
        self._closed = True
        self._changed()

    def _changed(self) -> None:
        if self._worker is not None:
            self._worker.set_slots(EVENT_RECORDS if self.load.may_take and not self._closed else 0)
        if self._waiting and not self._will_look:
            # Later: an outbox may be in the middle of something, and is about to be offered parcels.
            self._will_look = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._will_look = False
        while self._waiting and (self._closed or self.load.may_open):
            open_record, turn = self._waiting.popleft()
            if turn.done():
                continue  # whoever waited for it is gone
            try:
                if self._closed:
                    raise IntakeClosed
                turn.set_result(open_record())
            except Exception as error:
                turn.set_exception(error)
