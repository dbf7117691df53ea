"""Lets records of accepted events be taken from their lane, and be opened, while there is a use for their parcels.

More may be in hand than that: a worker asks for many at a time. They wait unopened, in the order in which they came.
"""

import asyncio
from collections import deque
from typing import Final

from voxgate_core import LaneWorker
from voxgate_fanout.load import Load

__all__ = ["EVENT_RECORDS", "Intake"]

EVENT_RECORDS: Final = 1024
"""Records of accepted events in hand in one process, most of them held up by one attempt that takes its time."""


class Intake:
    """``load`` is what the outboxes and the records in hand are counted in."""

    def __init__(self) -> None:
        self.load = Load(self._changed)
        self._worker: LaneWorker | None = None
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._closed = False

    def feed(self, worker: LaneWorker) -> None:
        """The worker of the lane of accepted events, whose slots are ours from now on."""
        self._worker = worker
        self._changed()

    async def may_open(self) -> bool:
        """Return when it is a record's turn: ``True`` to open it at once, and then call :meth:`opened`.

        ``False`` when nothing will be opened here any more.
        """
        if self._closed or (self.load.may_open and not self._waiting):
            return not self._closed
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            self.opened()  # if it was its turn, it is the next one's now
            raise

    def opened(self) -> None:
        """A record was opened: the next one may be, if there is still a use for it."""
        while self._waiting and (self._closed or self.load.may_open):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(not self._closed)
                if not self._closed:
                    return

    def close(self) -> None:
        """Take and open nothing more."""
        self._closed = True
        self._changed()

    def _changed(self) -> None:
        if self._worker is not None:
            self._worker.set_slots(EVENT_RECORDS if self.load.may_take and not self._closed else 0)
        self.opened()
