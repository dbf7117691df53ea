"""Puts away durably what was not delivered, and remembers how targets fare.

A failed event is kept back in its target's lane until its next attempt, or becomes a dead letter. What a target could
not be given at once is spilled into that lane. A target that asks for it, or has failed for too long, is disabled.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from voxgate_core import Clock, DeadLetter, DurableQueue, Event, VoxgateError
from voxgate_fanout.lanes import lane_of
from voxgate_fanout.notices import target_disabled
from voxgate_fanout.outcome import Outcome, OutcomeKind
from voxgate_fanout.postman import Stats
from voxgate_fanout.records import Item, encode_record
from voxgate_fanout.registry import Registry
from voxgate_fanout.schedule import DISABLE_AFTER, next_attempt
from voxgate_fanout.targets import Target

__all__ = ["MAX_BACKLOG", "MAX_RETRY_SECONDS", "RETRY_SECONDS", "Undelivered", "insist"]

MAX_BACKLOG: Final = 20_000
"""Jobs in one lane of a target; what would come on top becomes dead letters, so that the others keep their room."""

RETRY_SECONDS: Final = 0.5
"""Pause before something is put away again that the store refused."""

MAX_RETRY_SECONDS: Final = 5.0
"""The longest such pause."""

FULL: Final = f"its backlog is full ({MAX_BACKLOG} jobs)"

T = TypeVar("T")

logger = logging.getLogger("voxgate.fanout")


class Undelivered:
    """``open_lane`` makes a lane of a target and works it here; ``publish`` takes notices, and never waits."""

    def __init__(
        self,
        queue: DurableQueue,
        registry: Registry,
        clock: Clock,
        stats: Stats,
        *,
        open_lane: Callable[[Target, str], Awaitable[None]],
        publish: Callable[[Event], None],
        chance: Callable[[], float],
    ) -> None:
        self.overfull: frozenset[str] = frozenset()
        """Lanes that take nothing more."""
        self._queue = queue
        self._registry = registry
        self._clock = clock
        self._stats = stats
        self._open_lane = open_lane
        self._publish = publish
        self._chance = chance

    def measure(self, backlog: Mapping[str, int]) -> None:
        """See which lanes are full. ``backlog`` is how many jobs each holds."""
        before, self.overfull = self.overfull, frozenset(lane for lane, jobs in backlog.items() if jobs >= MAX_BACKLOG)
        for lane in self.overfull - before:
            logger.error("a lane is full: what comes on top becomes dead letters", extra={"lane": lane})

    # -- the work of the outboxes ----------------------------------------------------------------------------------

    async def conclude(self, target: Target, item: Item, outcome: Outcome, *, kept: bool) -> None:
        """Do what is left to do after an attempt; returns once the event is delivered or durably elsewhere."""
        if self._is_well(target, outcome) or await self._judge(target, outcome):
            return
        lane, again = lane_of(target.id), self._next_attempt(outcome, item.attempt)
        if self._is_gone(target):
            self._stats.unwanted += 1
        elif again is None:
            await self._bury_item(target, item, outcome.reason, item.attempt)
        elif lane in self.overfull and not kept:
            await self._bury_item(target, item, FULL, item.attempt)
        else:
            self._stats.retried += 1
            later = Item(item.id, item.type, item.body, (target.id,), item.accepted_at, item.attempt + 1)
            await self._keep(target, [later], at=again)

    async def spill(self, target: Target, items: Sequence[Item]) -> None:
        """Put the items, no more than fit into a record, into the target's lane, as they are."""
        if self._is_gone(target):
            self._stats.unwanted += len(items)
        elif lane_of(target.id) in self.overfull:
            for item in items:
                await self._bury_item(target, item, FULL, item.attempt - 1)
        else:
            self._stats.spilled += len(items)
            await self._keep(
                target,
                [Item(item.id, item.type, item.body, (target.id,), item.accepted_at, item.attempt) for item in items],
            )

    async def conclude_ordered(self, target: Target, item: Item, outcome: Outcome, attempts: int) -> float | None:
        """As :meth:`conclude`, for an item that keeps its place in its lane: seconds until it is to be attempted again.

        ``None`` when it is done with: delivered, or a dead letter. ``attempts`` is how many were made.
        """
        if await self._judge(target, outcome):
            return None
        again = self._next_attempt(outcome, attempts)
        if self._is_gone(target):
            self._stats.unwanted += 1
        elif again is None:
            await self._bury_item(target, item, outcome.reason, attempts)
        else:
            self._stats.retried += 1
            return max(again - self._clock.now(), 0.0)
        return None

    # -- dead letters ----------------------------------------------------------------------------------------------

    async def refuse(self, target: Target, item: Item) -> None:
        """Make a dead letter of an event whose lane is full. Raises :class:`VoxgateError` ``unavailable``."""
        await self._queue.bury(self._letter(target, item, FULL, 0))
        self._stats.dead += 1

    async def bury_unreadable(self, lane: str, body: bytes) -> None:
        """Put aside a record that can't be read, under the name of the lane it lay in."""
        logger.error("a record that can't be read became a dead letter", extra={"lane": lane})
        letter = DeadLetter(lane, "unreadable", body, "the record can't be read", 0, 0.0, self._clock.now())
        await insist(lambda: self._queue.bury(letter))
        self._stats.dead += 1

    async def _bury_item(self, target: Target, item: Item, reason: str, attempts: int) -> None:
        letter = self._letter(target, item, reason, attempts)
        await insist(lambda: self._queue.bury(letter))
        self._stats.dead += 1
        if reason != FULL:  # that is told once for the lane: its letters come by the thousand
            logger.warning(
                "an event became a dead letter",
                extra={"target": target.name, "event": item.id, "attempts": attempts, "reason": reason},
            )

    def _letter(self, target: Target, item: Item, reason: str, attempts: int) -> DeadLetter:
        anew = encode_record([Item(item.id, item.type, item.body, (target.id,), item.accepted_at)])
        return DeadLetter(target.id, item.id, anew, reason, attempts, item.accepted_at, self._clock.now())

    # -- how targets fare ------------------------------------------------------------------------------------------

    async def _judge(self, target: Target, outcome: Outcome) -> bool:
        """Remember how the target fares, and disable it when it asks for that or has failed for too long.

        Whether the event was delivered.
        """
        ok = outcome.kind is OutcomeKind.DELIVERED
        if self._is_well(target, outcome) or self._is_gone(target):
            return ok
        try:
            too_long = await self._registry.note(target.id, ok=ok)
            if outcome.kind is OutcomeKind.GONE:
                await self._disable(target, "it answered 410 Gone")
            elif too_long:
                await self._disable(target, f"it failed for {DISABLE_AFTER / 86_400:g} days")
        except VoxgateError as error:
            # It is noted at the next attempt; that this event is put away matters more.
            logger.warning("how a target fares was not noted", extra={"target": target.name, "code": error.code})
        return ok

    def _is_well(self, target: Target, outcome: Outcome) -> bool:
        """Whether it was delivered, and there is nothing to note: as it nearly always is."""
        return outcome.kind is OutcomeKind.DELIVERED and self._registry.state(target.id).failing_since is None

    async def _disable(self, target: Target, reason: str) -> None:
        # Many deliveries may end at once, here and elsewhere: one of them disables the target, and gives notice.
        if self._registry.state(target.id).disabled is None and await self._registry.disable(target.id, reason):
            logger.warning("a target was disabled", extra={"target": target.name, "reason": reason})
            self._publish(target_disabled(target, reason, self._clock.now()))

    # -- small things ----------------------------------------------------------------------------------------------

    async def _keep(self, target: Target, items: Sequence[Item], *, at: float | None = None) -> None:
        lane, record = lane_of(target.id), encode_record(items)
        await insist(lambda: self._open_lane(target, lane))
        await insist(lambda: self._queue.put(lane, record, at=at))

    def _next_attempt(self, outcome: Outcome, attempts: int) -> float | None:
        return next_attempt(outcome, attempts, now=self._clock.now(), random=self._chance())

    def _is_gone(self, target: Target) -> bool:
        return self._registry.get(target.id) is None


async def insist(work: Callable[[], Awaitable[T]]) -> T:
    """Try until the store takes it, however long that is: until then the record it came in is not acknowledged."""
    pause = RETRY_SECONDS
    while True:
        try:
            return await work()
        except Exception as error:
            if pause == RETRY_SECONDS:  # once: many may be waiting for one store
                _report(error)
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_RETRY_SECONDS)


def _report(error: Exception) -> None:
    if isinstance(error, VoxgateError):
        logger.warning("the store refused; it is asked until it takes it", extra={"code": error.code})
    else:  # nobody foresaw it: the event is kept all the same, and the traceback says why it does not move
        logger.error("an event could not be put away; it is tried until that works", exc_info=error)
