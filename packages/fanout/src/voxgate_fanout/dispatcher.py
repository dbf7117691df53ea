"""Gets every accepted event to its targets: takes records from the lanes, hands their parcels to the outboxes of the
targets, and acknowledges a record once all of it is settled.

The deciding is done in ``outbox``, ``schedule``, ``breaker`` and ``targets``; ``undelivered`` puts away what could not be
delivered, ``lane_workers`` keeps the lanes of targets, ``intake`` says when another record may be opened.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from voxgate_core import Claim, Clock, DurableQueue, Event, LaneWorker, VoxgateError
from voxgate_fanout.breaker import BreakerState
from voxgate_fanout.intake import EVENT_RECORDS, Intake, IntakeClosed
from voxgate_fanout.lane_workers import ACK_SECONDS, LaneWorkers
from voxgate_fanout.lanes import EVENTS
from voxgate_fanout.leases import LEASE_SECONDS, Leases
from voxgate_fanout.outbox import Office, Outbox, Pace
from voxgate_fanout.outcome import Outcome
from voxgate_fanout.parcels import Parcel, Receipt
from voxgate_fanout.postman import Postman, Sender, Stats
from voxgate_fanout.records import Item, decode_record
from voxgate_fanout.registry import Registry
from voxgate_fanout.targets import Target
from voxgate_fanout.undelivered import Undelivered, insist
from voxgate_fanout.watch import Watch

__all__ = ["HELD_SECONDS", "RECONCILE_SECONDS", "Dispatcher"]

RECONCILE_SECONDS: Final = 15.0
"""How often lanes are looked through: for those that another process opened and left, and for those that are full."""

HELD_SECONDS: Final = 1.0
"""After how long an ordered item may be given out again that was not attempted: by then everybody knows that its target
is disabled, or this process is gone."""

MAX_EVENT_RECORDS: Final = 16 * EVENT_RECORDS
"""Records of accepted events in hand over all processes."""

_Opened = tuple[Receipt, list[tuple[str, Parcel]]]
"""What came out of a record: its receipt, and parcels for targets that this process has not heard of, with their ids."""

logger = logging.getLogger("voxgate.fanout")


class Dispatcher:
    """Works the lanes of all targets. ``publish`` takes the notices it has to give; it never waits."""

    def __init__(
        self,
        queue: DurableQueue,
        registry: Registry,
        sender: Sender,
        clock: Clock,
        *,
        publish: Callable[[Event], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.stats = Stats()
        self._queue = queue
        self._registry = registry
        self._postman = Postman(sender, clock, self.stats)
        self._lanes = LaneWorkers(
            queue, registry, plain=self._work_plain, ordered=self._work_ordered, pace_of=self._pace_of
        )
        self._undelivered = Undelivered(
            queue, registry, clock, self.stats, open_lane=self._lanes.open, publish=publish, chance=chance
        )
        self._office = Office(
            self._postman.attempt, self._undelivered.conclude, self._undelivered.spill, self._lanes.pace
        )
        self._intake = Intake()
        self._watch = Watch()
        self._leases = Leases()
        self._extending: asyncio.Task[None] | None = None
        self._events: LaneWorker | None = None
        self._outboxes: dict[str, Outbox] = {}
        self._retired: list[Outbox] = []
        self._ending = False

    # -- life ------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Open the lane of events and begin to deliver. Raises :class:`VoxgateError` ``unavailable``."""
        await self._queue.open_lane(EVENTS, in_hand=MAX_EVENT_RECORDS, lease=LEASE_SECONDS)
        self._extending = asyncio.get_running_loop().create_task(self._leases.run())
        await self.reconcile()
        self._events = await self._queue.work(EVENTS, self._work_events, slots=0)
        self._intake.feed(self._events)

    async def keep_up(self) -> None:
        """Work the lanes that others left behind, until cancelled."""
        while True:
            await asyncio.sleep(RECONCILE_SECONDS)
            try:
                await self.reconcile()
            except VoxgateError as error:
                logger.warning("the lanes could not be looked through", extra={"code": error.code})

    async def reconcile(self) -> None:
        """Have a worker here for every lane of a target that is known, and see which are full. Raises as :meth:`begin`."""
        opened, backlog = await self._queue.lanes(), await self._queue.backlog()
        self._undelivered.measure(backlog)
        await self._lanes.adopt(opened | backlog.keys(), opened)

    async def end(self, seconds: float) -> None:
        """Stop: what is in flight is finished within ``seconds``, the rest is handed back or put away."""
        self._ending = True
        self._intake.close()
        self._lanes.pause()
        outboxes = [*self._outboxes.values(), *self._retired]
        for outbox in outboxes:
            outbox.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(outbox.idle() for outbox in outboxes))
        stops = [self._lanes.stop(), *([] if self._events is None else [self._events.stop(ACK_SECONDS)])]
        for failed in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(failed, Exception):
                logger.error("a worker could not be stopped", exc_info=failed)
        await asyncio.gather(*(outbox.abandon() for outbox in [*self._outboxes.values(), *self._retired]))
        self._watch.close()
        if self._extending is not None:
            self._extending.cancel()
            await asyncio.wait([self._extending])

    # -- targets ---------------------------------------------------------------------------------------------------

    def target_changed(self, target_id: str) -> None:
        """The registry has news of a target."""
        target, outbox = self._registry.get(target_id), self._outboxes.get(target_id)
        if target is not None and outbox is not None:
            outbox.adopt(target, disabled=self._registry.state(target_id).disabled is not None)
        elif target is None:
            self._postman.forget(target_id)
            self._lanes.retire(target_id)
            self._retired = [retired for retired in self._retired if not retired.is_idle]
            if outbox is not None:
                # What waits is dropped where it would be spilled; what is in flight comes to its end.
                del self._outboxes[target_id]
                self._retired.append(outbox)
                outbox.drain()

    async def open_lane(self, target: Target, lane: str) -> None:
        """Have a lane of the target open, and worked here. Raises :class:`VoxgateError` ``unavailable``."""
        await self._lanes.open(target, lane)

    def is_full(self, lane: str) -> bool:
        """Whether so much waits in the lane that more goes to :meth:`refuse`."""
        return lane in self._undelivered.overfull

    async def refuse(self, target: Target, item: Item) -> None:
        """Make a dead letter of an event whose lane is full. Raises :class:`VoxgateError` ``unavailable``."""
        await self._undelivered.refuse(target, item)

    async def close_lanes(self, target: Target) -> None:
        """The target is gone for good: so is what waits for it. Raises :class:`VoxgateError` ``unavailable``."""
        await self._lanes.close(target)

    async def attempt(self, target: Target, item: Item) -> Outcome:
        """Deliver once, now and past everything that waits. Raises nothing."""
        return await self._postman.attempt(target, item)

    def breaker(self, target_id: str) -> BreakerState:
        """Where a target's breaker stands in this process."""
        outbox = self._outboxes.get(target_id)
        return BreakerState.CLOSED if outbox is None else outbox.breaker.state

    def waiting(self, target_id: str) -> int:
        """Events for a target in this process's memory."""
        outbox = self._outboxes.get(target_id)
        return 0 if outbox is None else outbox.waiting

    # -- working records -------------------------------------------------------------------------------------------

    async def _work_events(self, claim: Claim) -> None:
        self._intake.load.took(len(claim.body))
        self._leases.hold(claim)
        try:
            await self._work_record(claim, await self._intake.let_in(lambda: self._open(claim.body, kept=False)))
        except IntakeClosed:
            await claim.hand_back()
        finally:
            self._leases.let_go(claim)
            self._intake.load.took(-len(claim.body))

    async def _work_plain(self, claim: Claim) -> None:
        self._leases.hold(claim)
        try:
            await self._work_record(claim, self._open(claim.body, kept=True))
        finally:
            self._leases.let_go(claim)

    def _open(self, record: bytes, *, kept: bool) -> _Opened | None:
        """Offer each item to its targets; ``None`` for a record that can't be read."""
        try:
            items = decode_record(record)
        except ValueError:
            return None
        receipt, strangers, now = Receipt(sum(len(item.targets) for item in items)), [], self._now()
        for item in items:
            for target_id in item.targets:
                outbox = self._outboxes.get(target_id) or self._known(target_id)
                if outbox is None:
                    strangers.append((target_id, Parcel(item, receipt, now, kept=kept)))
                else:
                    outbox.offer(Parcel(item, receipt, now, kept=kept))
        return receipt, strangers

    async def _work_record(self, claim: Claim, opened: _Opened | None) -> None:
        """Acknowledge the record when all of it is settled."""
        if opened is None:
            await self._undelivered.bury_unreadable(claim.lane, claim.body)
        else:
            receipt, strangers = opened
            for target_id, parcel in strangers:
                # Only now: they may have to be looked up, and the others must not wait for that.
                outbox = await self._outbox(target_id)
                if outbox is None:
                    self.stats.unwanted += 1  # the target was removed
                    receipt.settle()
                else:
                    parcel.came_at = self._now()
                    outbox.offer(parcel)
            await receipt.settled()
        await claim.ack()

    async def _work_ordered(self, claim: Claim) -> None:
        """One item at a time: what follows in this lane waits for it."""
        self._leases.hold(claim)
        try:
            await self._work_turn(claim)
        finally:
            self._leases.let_go(claim)

    async def _work_turn(self, claim: Claim) -> None:
        try:
            ((item, target_id),) = [
                (item, target_id) for item in decode_record(claim.body) for target_id in item.targets
            ]
        except ValueError:
            await self._undelivered.bury_unreadable(claim.lane, claim.body)
            await claim.ack()
            return
        outbox = await self._outbox(target_id)
        if outbox is None:
            self.stats.unwanted += 1
            await claim.ack()
            return
        outcome = await outbox.send(item)
        if outcome is None:
            await claim.hand_back(HELD_SECONDS)
            return
        # A job that was given out and not attempted, by a process that stopped or died, counts as an attempt too.
        delay = await self._undelivered.conclude_ordered(outbox.target, item, outcome, claim.deliveries)
        await (claim.ack() if delay is None else claim.hand_back(delay))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # -- outboxes --------------------------------------------------------------------------------------------------

    async def _outbox(self, target_id: str) -> Outbox | None:
        """The outbox of a target, which may have to be looked up; ``None`` when there is no such target."""
        outbox = self._known(target_id)
        if outbox is None:
            target = await insist(lambda: self._registry.look_up(target_id))
            outbox = None if target is None else self._outbox_of(target)
        return outbox

    def _known(self, target_id: str) -> Outbox | None:
        """The same of a target that this process has heard of."""
        target = self._registry.get(target_id)
        return None if target is None else self._outbox_of(target)

    def _outbox_of(self, target: Target) -> Outbox:
        outbox = self._outboxes.get(target.id)
        if outbox is None:
            disabled = self._registry.state(target.id).disabled is not None
            outbox = Outbox(target, self._office, self._intake.load, self._watch, disabled=disabled)
            self._outboxes[target.id] = outbox
            if self._ending:
                outbox.drain()
        return outbox

    def _pace_of(self, target: Target) -> Pace:
        return self._outbox_of(target).pace
