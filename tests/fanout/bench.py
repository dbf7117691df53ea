"""What the tests of delivery share: targets, items, an office that only takes notes, and a dispatcher on fakes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.fanout.fake_queue import DELIVERED, FakeQueue, FakeSender, Store
from tests.fanout.manual_loop import manual_clock, settle, timers_left
from voxgate_core import Clock, Event, MemoryKeyValue
from voxgate_fanout.dispatcher import Dispatcher
from voxgate_fanout.lanes import EVENTS
from voxgate_fanout.load import Load
from voxgate_fanout.outbox import Office, Outbox, Pace
from voxgate_fanout.outcome import Outcome, OutcomeKind, failed
from voxgate_fanout.parcels import Parcel, Receipt
from voxgate_fanout.records import Item, decode_record, encode_record
from voxgate_fanout.registry import Registry
from voxgate_fanout.service import Fanout
from voxgate_fanout.targets import Target, new_target
from voxgate_fanout.watch import Watch

__all__ = [
    "FAILED",
    "GONE",
    "Bench",
    "Desk",
    "House",
    "NotedOffice",
    "a_target",
    "an_event",
    "an_item",
    "items",
    "url_of",
]

FAILED = failed("HTTP 500", 0.01)
GONE = Outcome(OutcomeKind.GONE, 410, "HTTP 410: the target wants no more events", None, 0.01)


def url_of(name: str) -> str:
    return f"https://{name}.example/hook"


def a_target(
    name: str = "crm", *, rate: float | None = None, concurrency: int = 2, order_by: str | None = None
) -> Target:
    return new_target(name=name, url=url_of(name), now=0.0, rate=rate, concurrency=concurrency, order_by=order_by)


def an_item(number: int | str, *targets: Target, attempt: int = 1, body: bytes = b"{}") -> Item:
    ids = tuple(target.id for target in targets)
    return Item(f"evt_{number}", "voice.turn.completed", body, ids, 1_700_000_000.0, attempt)


def items(count: int, *targets: Target, first: int = 1) -> list[Item]:
    return [an_item(number, *targets) for number in range(first, first + count)]


def an_event(number: int | str = 1, *, type: str = "voice.turn.completed", subject: str | None = None) -> Event:
    return Event(f"evt_{number}", "/tests", type, 1_700_000_000.0, subject, {"number": str(number)})


class NotedOffice:
    """Notes what an outbox has done for it. Attempts hang for events in ``hanging`` until the test lets them go."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.urls: list[str] = []
        self.in_flight = 0
        self.peak = 0
        self.outcomes: dict[str, Outcome | Exception] = {}
        self.otherwise = DELIVERED
        self.hangs = False
        self.hanging: dict[str, asyncio.Future[None]] = {}
        self.concluded: list[tuple[str, Outcome, bool]] = []
        self.spilled: list[str] = []
        self.writes = 0
        self.broken: Exception | None = None
        self.disk = asyncio.Event()
        self.disk.set()
        self.paces: list[Pace] = []

    @property
    def office(self) -> Office:
        return Office(self.attempt, self.conclude, self.spill, lambda _, pace: self.paces.append(pace))

    @property
    def delivered(self) -> list[str]:
        return [event for event, outcome, _ in self.concluded if outcome is DELIVERED]

    def let_go(self, *events: str) -> None:
        for event in events or tuple(self.hanging):
            self.hanging.pop(event).set_result(None)

    async def attempt(self, target: Target, item: Item) -> Outcome:
        self.attempts.append(item.id)
        self.urls.append(target.url)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            if self.hangs:
                self.hanging[item.id] = asyncio.get_running_loop().create_future()
                await self.hanging[item.id]
            else:
                await asyncio.sleep(0)
        finally:
            self.in_flight -= 1
        outcome = self.outcomes.get(item.id, self.otherwise)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def conclude(self, target: Target, item: Item, outcome: Outcome, *, kept: bool) -> None:
        await self.disk.wait()
        if self.broken is not None:
            raise self.broken
        self.concluded.append((item.id, outcome, kept))

    async def spill(self, target: Target, items: Sequence[Item]) -> None:
        await self.disk.wait()
        await asyncio.sleep(0)
        if self.broken is not None:
            raise self.broken
        self.writes += 1
        self.spilled += [item.id for item in items]


class Desk:
    """One outbox with an office that takes notes. Each offer is a record of its own."""

    def __init__(self, target: Target, *, disabled: bool = False) -> None:
        self.office = NotedOffice()
        self.load = Load(lambda: None)
        self.watch = Watch()
        self.outbox = Outbox(target, self.office.office, self.load, self.watch, disabled=disabled, linger=0.0)

    def offer(self, *offered: Item, kept: bool = False) -> Receipt:
        receipt = Receipt(len(offered))
        for item in offered:
            self.outbox.offer(Parcel(item, receipt, asyncio.get_running_loop().time(), kept=kept))
        return receipt

    def may_open(self) -> bool:
        return self.load.may_open

    async def end(self) -> None:
        """Nothing may be left when an outbox was drained."""
        self.outbox.drain()
        self.office.let_go()
        await self.outbox.idle()
        self.watch.close()
        assert not await timers_left()
        assert self.outbox.is_idle
        assert self.outbox.waiting == 0
        assert self.load.may_open
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others


class Bench:
    """A dispatcher on a fake queue and a fake sender. Give it the ``store`` and ``kept`` of another to begin anew."""

    def __init__(
        self, *, clock: Clock | None = None, store: Store | None = None, kept: MemoryKeyValue | None = None
    ) -> None:
        self.clock = clock or manual_clock()
        self.queue = FakeQueue(self.clock, store)
        self.kept = kept or MemoryKeyValue(self.clock)
        self.sender = FakeSender()
        self.notices: list[Event] = []
        self.registry = Registry(self.kept, self.clock, prod=False, changed=self._changed)
        self.dispatcher = Dispatcher(
            self.queue, self.registry, self.sender, self.clock, publish=self.notices.append, chance=lambda: 0.0
        )
        self.stats = self.dispatcher.stats

    async def add(
        self, name: str = "crm", *, rate: float | None = None, concurrency: int = 8, order_by: str | None = None
    ) -> Target:
        target = a_target(name, rate=rate, concurrency=concurrency, order_by=order_by)
        await self.registry.add(target)
        return target

    async def begin(self) -> "Bench":
        await self.registry.load()
        await self.dispatcher.begin()
        return self

    async def put(self, *record: Item, lane: str = EVENTS) -> None:
        """Put a record into a lane, and let happen what happens without time passing."""
        await self.queue.put(lane, encode_record(record))
        await settle()

    async def end(self) -> None:
        """Stop, and see that nothing is left behind."""
        await self.dispatcher.end(8.0)
        assert not await timers_left()
        assert not self.queue.workers
        assert self.queue.failures == []
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    def crash(self) -> None:
        """The process is gone: nothing is acknowledged, put away or handed back any more."""
        self.queue.crash()
        self.queue.unavailable = True
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def _changed(self, target_id: str) -> None:
        self.dispatcher.target_changed(target_id)


class House:
    """A fan-out on fakes."""

    def __init__(self, *, max_stored: int = 1 << 40, before: "House | None" = None) -> None:
        self.clock = manual_clock()
        self.queue: FakeQueue = FakeQueue(self.clock, None if before is None else before.queue.store)
        self.store: MemoryKeyValue = MemoryKeyValue(self.clock) if before is None else before.store
        self.sender = FakeSender()
        self.fanout = Fanout(self.queue, self.store, self.sender, prod=False, clock=self.clock, max_stored=max_stored)

    async def add(self, name: str = "crm", *, order_by: str | None = None, concurrency: int = 8) -> Target:
        target = a_target(name, order_by=order_by, concurrency=concurrency)
        await self.fanout.registry.add(target)
        return target

    def stored(self, lane: str) -> list[str]:
        """The events that were put into a lane, in their order."""
        return [item.id for at, body, _ in self.queue.puts if at == lane for item in decode_record(body)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.fanout.running():
            await settle()
            yield
        assert self.queue.failures == []
        assert self.queue.workers == {}
        assert not await timers_left()
        assert asyncio.all_tasks() == {asyncio.current_task()}
