"""The lanes of targets as one process works them: opened when first needed, paced, and let go with their target."""

import asyncio
import logging
from collections.abc import Callable, Container, Coroutine, Iterable
from functools import partial
from typing import Any, Final

from voxgate_core import DurableQueue, Handler, LaneWorker
from voxgate_fanout.lanes import lane_of, lanes_of, target_of
from voxgate_fanout.leases import LEASE_SECONDS
from voxgate_fanout.outbox import Pace
from voxgate_fanout.registry import Registry
from voxgate_fanout.targets import Target

__all__ = ["ACK_SECONDS", "LANE_RECORDS", "LaneWorkers"]

LANE_RECORDS: Final = 4
"""Records of one target's own lane in hand in one process."""

MAX_IN_HAND: Final = 16 * LANE_RECORDS
"""The same over all processes."""

ACK_SECONDS: Final = 1.0
"""How long handlers may take to say what came of their jobs, once nothing is in flight any more."""

MADE_HERE: Final = "tgt_"
"""How the ids of targets begin that were added while the gateway ran. Of the others each process knows its own alone."""

logger = logging.getLogger("voxgate.fanout")


class LaneWorkers:
    """``plain`` and ``ordered`` work the jobs of the two kinds of lanes; ``pace_of`` says how fast a target takes them."""

    def __init__(
        self,
        queue: DurableQueue,
        registry: Registry,
        *,
        plain: Handler,
        ordered: Handler,
        pace_of: Callable[[Target], Pace],
    ) -> None:
        self._queue = queue
        self._registry = registry
        self._plain = plain
        self._ordered = ordered
        self._pace_of = pace_of
        self._workers: dict[str, LaneWorker] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._ending = False

    async def open(self, target: Target, lane: str) -> None:
        """Have the lane open, and worked here. Raises :class:`VoxgateError` ``unavailable``.

        Nothing is done for a target that was removed.
        """
        if lane not in self._workers:
            await self._once(lane, partial(self._open, target, lane))

    async def adopt(self, lanes: Iterable[str], opened: Container[str]) -> None:
        """Work every one of ``lanes`` whose target is known; ``opened`` are those that need not be opened first.

        Lanes of a target that was removed are closed: whoever removed it may have failed to, or somebody who had not
        heard of it opened one again. Raises :class:`VoxgateError` ``unavailable``.
        """
        for lane in lanes:
            target_id = target_of(lane)
            if target_id is None or lane in self._workers:
                continue
            target = self._registry.get(target_id)
            if target is None and target_id.startswith(MADE_HERE):
                target = await self._registry.look_up(target_id)
                if target is None:
                    await self._queue.close_lane(lane)
            if target is not None:
                await self._once(lane, partial(self._work if lane in opened else self._open, target, lane))

    def pace(self, target: Target, pace: Pace) -> None:
        """Take jobs from the target's lanes as fast as that."""
        for lane in lanes_of(target):
            if lane in self._workers:
                self._workers[lane].set_slots(self._slots(target, lane, pace))

    def retire(self, target_id: str) -> None:
        """The target was removed: work its lanes no more."""
        for lane in [lane for lane in self._workers if target_of(lane) == target_id]:
            self._let_go(lane, self._workers.pop(lane))

    async def close(self, target: Target) -> None:
        """Remove the target's lanes and what lies in them. Raises :class:`VoxgateError` ``unavailable``."""
        opened = await self._queue.lanes()
        for lane in lanes_of(target):
            if lane in opened:
                await self._queue.close_lane(lane)

    def pause(self) -> None:
        """Take nothing more, and begin to work no other lane."""
        self._ending = True
        for worker in self._workers.values():
            worker.set_slots(0)

    async def stop(self) -> None:
        """Stop every worker; handlers that are still at it after ACK_SECONDS hand their jobs back."""
        self.pause()
        for task in self._opening.values():
            task.cancel()
        while self._opening:
            await asyncio.wait(self._opening.values())
        for lane, worker in self._workers.items():
            self._let_go(lane, worker)
        self._workers.clear()
        while self._stopping:
            await asyncio.wait(self._stopping.values())

    # -- one at a time for each lane -------------------------------------------------------------------------------

    async def _once(self, lane: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do ``work``, or wait for what is being done with this lane already."""
        task = self._opening.get(lane)
        if task is None:
            task = self._opening[lane] = asyncio.get_running_loop().create_task(work())
            task.add_done_callback(lambda done: self._once_done(lane, done))
        await asyncio.shield(task)

    def _once_done(self, lane: str, task: "asyncio.Task[None]") -> None:
        del self._opening[lane]
        if not task.cancelled():
            task.exception()  # those who wait are told; when they have all gone, it is nobody's concern

    async def _open(self, target: Target, lane: str) -> None:
        if self._registry.get(target.id) is None:
            return
        in_hand = MAX_IN_HAND if lane == lane_of(target.id) else 1
        await self._queue.open_lane(lane, in_hand=in_hand, lease=LEASE_SECONDS)
        await self._work(target, lane)

    async def _work(self, target: Target, lane: str) -> None:
        if lane in self._stopping:
            await asyncio.wait([self._stopping[lane]])
        if not self._is_wanted(target):
            return
        plain = lane == lane_of(target.id)
        worker = await self._queue.work(lane, self._plain if plain else self._ordered, slots=0)
        if not self._is_wanted(target):
            self._let_go(lane, worker)
            return
        self._workers[lane] = worker
        # Only now: the pace may have changed while the worker was made.
        worker.set_slots(self._slots(target, lane, self._pace_of(target)))

    def _is_wanted(self, target: Target) -> bool:
        return not self._ending and self._registry.get(target.id) is not None

    def _slots(self, target: Target, lane: str, pace: Pace) -> int:
        if pace is Pace.STOPPED or self._ending:
            return 0
        return LANE_RECORDS if pace is Pace.FULL and lane == lane_of(target.id) else 1

    def _let_go(self, lane: str, worker: LaneWorker) -> None:
        worker.set_slots(0)
        task = self._stopping[lane] = asyncio.get_running_loop().create_task(worker.stop(ACK_SECONDS))
        task.add_done_callback(lambda done: self._let_go_done(lane, done))

    def _let_go_done(self, lane: str, task: "asyncio.Task[None]") -> None:
        del self._stopping[lane]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the worker of a lane could not be stopped", extra={"lane": lane}, exc_info=error)
