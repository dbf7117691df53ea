"""One target's outbox: what waits for it in memory, how many deliveries are in flight, and when to step aside.

Rules:

1. A target that keeps up is handed its parcels from memory. One that does not is *behind*: its parcels are spilled into
   its own lane, where they hold up nothing and nobody, and those that waited go with them. It is behind when every place
   is taken and no delivery ended for STALLED seconds, when a parcel has waited for PATIENCE, or when more than MAX_QUEUED
   wait; and it stays so for a while that grows each time, until it keeps up with everything again.
2. What comes from the target's own lanes is *kept* there already, and waits without such bounds: no more is taken out of
   them than the outbox can hold. Where both wait they take turns, so that neither starves the other.
3. While the circuit breaker is open every parcel is spilled, and nothing is taken from the lanes. When its time is over
   one delivery is tried, and how that goes opens the lanes again or not. The turns of ordered lanes wait for it here.
4. A target's rate is kept by pausing, which makes it fall behind like any slow one.
5. A parcel is settled only when it was delivered, or is durably somewhere else: in the lane, kept back for a later
   attempt, or a dead letter. When neither can be done its record is worked again.
6. While the target is disabled, and from :meth:`Outbox.drain` on, every parcel is spilled and every turn given back.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from voxgate_fanout.breaker import Breaker, BreakerState
from voxgate_fanout.load import Load
from voxgate_fanout.outcome import Outcome, OutcomeKind
from voxgate_fanout.parcels import Parcel, Turn
from voxgate_fanout.rate import Bucket
from voxgate_fanout.records import Item
from voxgate_fanout.spillway import LINGER, Spillway
from voxgate_fanout.targets import Target
from voxgate_fanout.watch import Watch

__all__ = [
    "BEHIND_SECONDS",
    "MAX_BEHIND_SECONDS",
    "MAX_QUEUED",
    "PATIENCE",
    "STALLED",
    "SUSPECT",
    "SUSPECT_TIMES",
    "Conclude",
    "Office",
    "Outbox",
    "Pace",
]

PATIENCE: Final = 1.0
"""Seconds a parcel may wait in memory."""

STALLED: Final = 0.25
"""Seconds without the end of a delivery after which a target with a queue is behind."""

SUSPECT: Final = 0.05
"""Seconds without the end of a delivery after which what waits for a target that has no place free does not count as
load: else a target that hangs would keep events from the others until it is behind."""

SUSPECT_TIMES: Final = 2.0
"""The same as a multiple of what the last delivery took, where that is longer: so long it may just be a slow one."""

BEHIND_SECONDS: Final = 1.0
"""How long a target that fell behind is taken to be so; twice as long each time, up to MAX_BEHIND_SECONDS."""

MAX_BEHIND_SECONDS: Final = 30.0
"""The longest such time."""

MAX_QUEUED: Final = 512
"""Parcels that wait in memory for one target; one more, and it is behind. A full load and a record on top are less."""

TIMER_SLACK: Final = 0.002
"""Seconds added to the breaker's time, and the least to wait for a token: timers of some loops come a little early."""

BURST_SECONDS: Final = 0.01
"""For how long a target may save up its rate: without, no pause would be short enough for a high one."""


class Pace(Enum):
    """How fast the lanes of a target are emptied."""

    STOPPED = "stopped"
    PROBING = "probing"  # one job at a time: it tells whether the target is back
    FULL = "full"


class Conclude(Protocol):
    """Put away what was not delivered, durably, however long that takes; see :class:`Office`."""

    async def __call__(self, target: Target, item: Item, outcome: Outcome, *, kept: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Office:
    """What an outbox has done for it. ``attempt`` delivers once.

    ``conclude`` and ``spill`` return when what they are given is durably elsewhere; what they raise has their records
    worked again. ``spill`` puts into the target's lane what fits into one record. ``pace`` says how fast to take jobs
    from the target's lanes.
    """

    attempt: Callable[[Target, Item], Awaitable[Outcome]]
    conclude: Conclude
    spill: Callable[[Target, Sequence[Item]], Awaitable[None]]
    pace: Callable[[Target, Pace], None]


class Outbox:
    """In front of one target. ``disabled`` and the target itself may change at any time: see :meth:`adopt`."""

    def __init__(
        self,
        target: Target,
        office: Office,
        load: Load,
        watch: Watch,
        *,
        disabled: bool = False,
        linger: float = LINGER,
    ) -> None:
        self.target = target
        self.breaker = Breaker()
        self.pace = Pace.STOPPED if disabled else Pace.FULL
        self._office = office
        self._load = load
        self._watch = watch
        self._disabled = disabled
        self._draining = False
        self._held = disabled
        self._loop = asyncio.get_running_loop()
        self._fresh: deque[Parcel] = deque()
        self._kept: deque[Parcel | Turn] = deque()
        self._kept_next = False
        self._is_suspect = False
        self._spillway = Spillway(lambda items: office.spill(self.target, items), self._start, linger=linger)
        self._running = 0
        self._starting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended_at = 0.0
        self._took = 0.0
        self._behind_until = 0.0
        self._behind_seconds = BEHIND_SECONDS
        self._bucket = _bucket(target.rate)
        self._pause: asyncio.TimerHandle | None = None
        self._probe: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Parcels and turns in memory: those in flight and those on their way into the lane are counted too."""
        return len(self._fresh) + len(self._kept) + len(self._spillway) + self._running - self._starting

    @property
    def is_idle(self) -> bool:
        """Whether nothing of this outbox runs or waits."""
        return not (self._tasks or self._fresh or self._kept)

    # -- from outside ----------------------------------------------------------------------------------------------

    def offer(self, parcel: Parcel) -> None:
        """Deliver it, or see to it that it is not lost. Returns at once."""
        if self._held:
            self._spillway.put([parcel])
        elif parcel.kept:
            self._kept.append(parcel)
            self._go_on()
        elif parcel.came_at < self._behind_until:
            self._spillway.put([parcel])
        else:
            waiting = len(self._fresh)
            self._fresh.append(parcel)
            self._count(waiting, waiting + 1)
            if not waiting:
                self._watch.add(self)
            if waiting < MAX_QUEUED:
                self._go_on()
            else:
                self._fall_behind(self._loop.time())

    async def send(self, item: Item) -> Outcome | None:
        """Deliver the item at the head of an ordered lane once; ``None`` when nothing may be sent, for who knows how long.

        Raises what makes an attempt impossible.
        """
        turn = Turn(item)
        if self._disabled or self._draining:
            return None
        self._kept.append(turn)
        self._go_on()
        try:
            return await turn.outcome
        except asyncio.CancelledError:
            if turn in self._kept:
                self._kept.remove(turn)
            raise

    def adopt(self, target: Target, *, disabled: bool) -> None:
        """The target was changed, disabled or enabled."""
        if target.rate != self.target.rate:
            self._bucket = _bucket(target.rate)
            self._unpause()
        if self._disabled and not disabled:
            # Whoever enables it says that it is well: what was held against it is forgotten.
            self.breaker = Breaker()
            self._behind_until, self._behind_seconds = 0.0, BEHIND_SECONDS
        self.target, self._disabled = target, disabled
        self._settle()

    def drain(self) -> None:
        """Deliver nothing more, and spill what waits; what is in flight comes to its end."""
        self._draining = True
        self._spillway.hurry()
        self._settle()

    async def idle(self) -> None:
        """Return once nothing of this outbox runs any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def abandon(self) -> None:
        """Give up what still runs: its records were not acknowledged, and will be worked again."""
        self.drain()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    def look(self, now: float, since: float) -> bool:
        """See :class:`voxgate_fanout.watch.Watched`: does the target keep up?"""
        if not self._fresh:
            return False
        came_at = max(self._fresh[0].came_at, since)
        # Whichever is last of the two: a target is not stalled before it had anything to do.
        idle = now - max(came_at, self._ended_at) if self._is_full else 0.0
        if idle >= STALLED or came_at + PATIENCE <= now:
            self._fall_behind(now)
            return False
        self._suspect(idle >= max(SUSPECT, SUSPECT_TIMES * self._took))
        return True

    # -- sending ---------------------------------------------------------------------------------------------------

    @property
    def _is_full(self) -> bool:
        """Whether nothing more can be begun just now."""
        most = self.target.concurrency if self.breaker.state is BreakerState.CLOSED else 1
        return self._pause is not None or self._running >= most

    def _go_on(self) -> None:
        """Have as many runners as there is work and room for; or clear everything away when nothing may be sent."""
        if self._held:
            self._step_aside()
            return
        if self._pause is not None:
            return
        places = self.target.concurrency - self._running
        work = len(self._fresh) + len(self._kept) - self._starting
        if self.breaker.state is not BreakerState.CLOSED:
            # In doubt one is tried, and the others wait for what it tells.
            places = min(places, 1 - self._starting if self._loop.time() >= self.breaker.retry_at else 0)
        elif self._bucket is not None:
            # One after the other: most of them would only find that there is no token.
            places = min(places, 1 - self._starting)
        for _ in range(min(places, work)):
            self._running += 1
            self._starting += 1
            self._start(self._run()).add_done_callback(self._ran)

    async def _run(self) -> None:
        self._starting -= 1
        while (job := self._next()) is not None:
            if self._bucket is not None:
                self._go_on()
            target = self.target
            try:
                outcome = await self._attempt(job.item)
                if isinstance(job, Turn):
                    job.tell(outcome)
                else:
                    await self._office.conclude(target, job.item, outcome, kept=job.kept)
                    job.receipt.settle()
            except Exception as error:  # its record is worked again, by somebody who says what went wrong
                (job if isinstance(job, Turn) else job.receipt).fail(error)

    def _ran(self, task: "asyncio.Task[None]") -> None:
        self._running -= 1
        self._go_on()

    def _next(self) -> Parcel | Turn | None:
        """The job whose turn it is, if one may be sent now. Fresh and kept ones take turns."""
        if self._held or not (self._fresh or self._kept):
            return None
        now, closed = self._loop.time(), self.breaker.state is BreakerState.CLOSED
        if (closed and self._running > self.target.concurrency) or (not closed and now < self.breaker.retry_at):
            return None
        if self._bucket is not None and (wait := self._bucket.take(now)):
            if self._pause is None:
                self._pause = self._loop.call_later(max(wait, TIMER_SLACK), self._resume)
            return None
        if not closed:
            self.breaker.allows(now)
            self._watch_probe()
        if self._kept and (self._kept_next or not self._fresh):
            self._kept_next = False
            return self._kept.popleft()
        self._kept_next = True
        waiting = len(self._fresh)
        self._count(waiting, waiting - 1)
        return self._fresh.popleft()

    async def _attempt(self, item: Item) -> Outcome:
        outcome = await self._office.attempt(self.target, item)
        delivered = outcome.kind is OutcomeKind.DELIVERED
        now = self._ended_at = self._loop.time()
        self._suspect(False)
        if delivered:
            self._took = outcome.seconds
            if not self._fresh and not self._kept and now > self._behind_until:
                self._behind_seconds = BEHIND_SECONDS
        if self.breaker.record(delivered, now):
            self._settle()
        return outcome

    def _resume(self) -> None:
        self._pause = None
        self._go_on()

    def _unpause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _start(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- stepping aside --------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Whether anything may be sent has changed, or how fast."""
        closed = self.breaker.state is BreakerState.CLOSED
        resting = self.breaker.state is BreakerState.OPEN and self._loop.time() < self.breaker.retry_at
        self._held = self._disabled or self._draining or resting
        self._watch_probe()
        pace = Pace.STOPPED if self._held else Pace.FULL if closed else Pace.PROBING
        if pace is not self.pace:
            self.pace = pace
            self._office.pace(self.target, pace)
        self._go_on()

    def _watch_probe(self) -> None:
        """Look again when a breaker has rested, or a probe has not reported."""
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
        in_doubt = self.breaker.state is not BreakerState.CLOSED and not (self._disabled or self._draining)
        if in_doubt and self._loop.time() < self.breaker.retry_at:
            self._probe = self._loop.call_at(self.breaker.retry_at + TIMER_SLACK, self._settle)

    def _fall_behind(self, now: float) -> None:
        """Spill what waits in memory only; what comes next goes to the lane at once, for a while."""
        self._behind_until = now + self._behind_seconds
        self._behind_seconds = min(2 * self._behind_seconds, MAX_BEHIND_SECONDS)
        self._spill_fresh()

    def _step_aside(self) -> None:
        self._unpause()
        if self._fresh:
            self._spill_fresh()
        kept, self._kept = self._kept, deque()
        for job in kept:
            if isinstance(job, Parcel):
                self._spillway.put([job])
            elif self._disabled or self._draining:
                job.tell(None)
            else:
                self._kept.append(job)

    def _spill_fresh(self) -> None:
        self._spillway.put(self._fresh)
        self._count(len(self._fresh), 0)
        self._fresh.clear()
        self._is_suspect = False

    def _count(self, before: int, after: int) -> None:
        """What waits has become more or less."""
        if not self._is_suspect:
            self._load.queued(before, after)

    def _suspect(self, is_suspect: bool) -> None:
        """Whether the target may be hanging; see SUSPECT."""
        if is_suspect is not self._is_suspect:
            waiting = len(self._fresh)
            self._load.queued(*((waiting, 0) if is_suspect else (0, waiting)))
            self._is_suspect = is_suspect


def _bucket(rate: float | None) -> Bucket | None:
    return None if rate is None else Bucket(rate, rate * BURST_SECONDS)
