"""What was not delivered is durably somewhere else, whatever the store does meanwhile; and targets are judged."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.fanout.bench import FAILED, GONE, a_target, an_item, items
from tests.fanout.fake_queue import DELIVERED, FakeQueue
from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle
from voxgate_core import DeadQuery, Event, MemoryKeyValue, VoxgateError
from voxgate_fanout.event import TARGET_DISABLED
from voxgate_fanout.lanes import lane_of
from voxgate_fanout.outcome import MAX_RETRY_AFTER, Outcome, OutcomeKind
from voxgate_fanout.postman import Stats
from voxgate_fanout.records import Item, decode_record
from voxgate_fanout.registry import Registry
from voxgate_fanout.schedule import DELAYS, JITTER
from voxgate_fanout.targets import Target
from voxgate_fanout.undelivered import MAX_BACKLOG, MAX_RETRY_SECONDS, RETRY_SECONDS, Undelivered, insist

new_loop = ManualLoop

HOUR = 3600.0


class Yard:
    """An :class:`Undelivered` on a fake queue, with one target."""

    def __init__(self, chance: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = manual_clock()
        self.queue = FakeQueue(self.clock)
        self.store = MemoryKeyValue(self.clock)
        self.registry = Registry(self.store, self.clock, prod=False)
        self.stats = Stats()
        self.opened: list[str] = []
        self.notices: list[Event] = []
        self.undelivered = Undelivered(
            self.queue,
            self.registry,
            self.clock,
            self.stats,
            open_lane=self._open,
            publish=self.notices.append,
            chance=chance,
        )

    async def add(self, name: str = "crm") -> Target:
        target = a_target(name)
        await self.registry.add(target)
        return target

    @property
    def kept(self) -> list[tuple[Item, Any]]:
        """What lies in lanes, and until when it is kept back, in seconds from now."""
        now = self.clock.now()
        return [
            (item, None if at is None else at - now) for _, body, at in self.queue.puts for item in decode_record(body)
        ]

    async def _open(self, target: Target, lane: str) -> None:
        self.queue.check("open_lane", lane)
        self.opened.append(lane)


# -- retries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", range(1, len(DELAYS)))
async def test_a_failed_event_is_kept_back_in_its_targets_lane_until_its_next_attempt(attempt: int) -> None:
    yard = Yard()
    target = await yard.add()
    other = a_target("other")
    await yard.undelivered.conclude(target, an_item(1, target, other, attempt=attempt), FAILED, kept=False)
    assert yard.kept == [(an_item(1, target, attempt=attempt + 1), pytest.approx(DELAYS[attempt]))]
    assert {lane for lane, _, _ in yard.queue.puts} == set(yard.opened) == {lane_of(target.id)}
    assert yard.stats.retried == 1


async def test_chance_adds_its_part_to_the_delay() -> None:
    yard = Yard(lambda: 0.5)
    target = await yard.add()
    await yard.undelivered.conclude(target, an_item(1, target), FAILED, kept=False)
    assert yard.kept[0][1] == pytest.approx(DELAYS[1] * (1 + JITTER / 2))


@pytest.mark.parametrize(("asked", "delay"), [(0.0, DELAYS[1]), (HOUR, HOUR), (MAX_RETRY_AFTER, MAX_RETRY_AFTER)])
async def test_a_pause_that_the_target_asked_for_counts_where_it_is_longer(asked: float, delay: float) -> None:
    yard = Yard()
    target = await yard.add()
    outcome = Outcome(OutcomeKind.RETRY, 503, "HTTP 503", asked, 0.1)
    await yard.undelivered.conclude(target, an_item(1, target), outcome, kept=False)
    assert yard.kept[0][1] == pytest.approx(delay)


async def test_after_the_last_attempt_an_event_becomes_a_dead_letter() -> None:
    yard = Yard()
    target = await yard.add()
    item = an_item(1, target, attempt=len(DELAYS))
    await yard.undelivered.conclude(target, item, FAILED, kept=True)
    (letter,) = await yard.queue.dead(DeadQuery())
    assert (letter.lane, letter.id) == (target.id, "evt_1")
    assert (letter.reason, letter.attempts) == ("HTTP 500", len(DELAYS))
    assert (letter.accepted_at, letter.died_at) == (item.accepted_at, yard.clock.now())
    assert decode_record(letter.body) == (an_item(1, target),), "it is replayed from the first attempt"
    assert (yard.kept, yard.stats.dead) == ([], 1)


async def test_a_delivered_event_leaves_nothing_behind() -> None:
    yard = Yard()
    target = await yard.add()
    await yard.undelivered.conclude(target, an_item(1, target), DELIVERED, kept=False)
    assert (yard.queue.puts, yard.queue.store.letters, yard.opened) == ([], {}, [])


# -- spilling --------------------------------------------------------------------------------------------------------


async def test_what_is_spilled_is_one_record_for_that_target_alone() -> None:
    yard = Yard()
    target, other = await yard.add(), a_target("other")
    await yard.undelivered.spill(target, [an_item(n, target, other, attempt=n) for n in (1, 2, 3)])
    assert [item for item, _ in yard.kept] == [an_item(n, target, attempt=n) for n in (1, 2, 3)]
    assert len(yard.queue.puts) == 1
    assert yard.stats.spilled == 3


async def test_a_full_lane_takes_no_more_and_what_would_come_on_top_becomes_dead_letters(
    caplog: pytest.LogCaptureFixture,
) -> None:
    yard = Yard()
    target, other = await yard.add(), await yard.add("other")
    yard.undelivered.measure({lane_of(target.id): MAX_BACKLOG, lane_of(other.id): MAX_BACKLOG - 1})
    assert len(caplog.records) == 1
    await yard.undelivered.spill(target, [an_item(1, target), an_item(2, target, attempt=3)])
    await yard.undelivered.conclude(target, an_item(3, target), FAILED, kept=False)
    await yard.undelivered.refuse(target, an_item(4, target))
    letters = await yard.queue.dead(DeadQuery(lane=target.id))
    assert [(letter.id, letter.attempts) for letter in letters] == [
        ("evt_1", 0),
        ("evt_2", 2),
        ("evt_3", 1),
        ("evt_4", 0),
    ]
    assert {letter.reason for letter in letters} == {f"its backlog is full ({MAX_BACKLOG} jobs)"}
    assert len(caplog.records) == 1, "one line for the lane, not one for each letter"
    await yard.undelivered.spill(other, items(1, other))
    assert len(yard.queue.puts) == 1
    yard.undelivered.measure({lane_of(target.id): MAX_BACKLOG - 1})
    await yard.undelivered.spill(target, items(1, target))
    assert len(yard.queue.puts) == 2


async def test_what_lies_in_a_full_lane_already_goes_on_with_its_attempts() -> None:
    yard = Yard()
    target = await yard.add()
    yard.undelivered.measure({lane_of(target.id): MAX_BACKLOG})
    await yard.undelivered.conclude(target, an_item(1, target), FAILED, kept=True)
    assert [item.attempt for item, _ in yard.kept] == [2]


async def test_an_unreadable_record_is_kept_under_the_name_of_its_lane() -> None:
    yard = Yard()
    await yard.undelivered.bury_unreadable("events", b"\xc1junk")
    (letter,) = await yard.queue.dead(DeadQuery())
    assert (letter.lane, letter.body, letter.reason) == ("events", b"\xc1junk", "the record can't be read")


# -- ordered lanes ---------------------------------------------------------------------------------------------------


async def test_an_ordered_item_that_failed_waits_in_its_place_for_the_same_delays() -> None:
    yard = Yard()
    target = await yard.add()
    item = an_item(1, target)
    delays = [await yard.undelivered.conclude_ordered(target, item, FAILED, n) for n in range(1, len(DELAYS) + 1)]
    assert delays == [*(pytest.approx(delay) for delay in DELAYS[1:]), None]
    (letter,) = await yard.queue.dead(DeadQuery())
    assert (letter.id, letter.attempts) == ("evt_1", len(DELAYS))
    assert yard.queue.puts == []
    assert yard.stats.retried == len(DELAYS) - 1


async def test_an_ordered_item_that_was_delivered_is_done_with() -> None:
    yard = Yard()
    target = await yard.add()
    assert await yard.undelivered.conclude_ordered(target, an_item(1, target), DELIVERED, 3) is None
    assert yard.queue.store.letters == {}


# -- a store that fails ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["put", "open_lane", "bury"])
async def test_a_store_that_fails_is_asked_until_it_takes_it(method: str) -> None:
    yard = Yard()
    target = await yard.add()
    yard.queue.refuses = lambda asked, lane: asked == method
    attempt = len(DELAYS) if method == "bury" else 1
    task = asyncio.create_task(
        yard.undelivered.conclude(target, an_item(1, target, attempt=attempt), FAILED, kept=False)
    )
    await elapse(100 * MAX_RETRY_SECONDS)
    assert not task.done()
    yard.queue.refuses = lambda asked, lane: False
    await elapse(MAX_RETRY_SECONDS)
    await task
    assert len(yard.queue.puts) + len(yard.queue.store.letters) == 1


async def test_insisting_waits_longer_each_time_and_never_in_a_circle() -> None:
    asked, loop = list[float](), asyncio.get_running_loop()

    async def work() -> str:
        asked.append(loop.time())
        if len(asked) < 8:
            raise VoxgateError("unavailable") if len(asked) % 2 else ZeroDivisionError
        return "taken"

    task = asyncio.create_task(insist(work))
    await elapse(60.0)
    assert await task == "taken"
    pauses = [after - before for before, after in zip(asked, asked[1:], strict=False)]
    assert pauses == [pytest.approx(seconds) for seconds in (0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0)]
    assert (RETRY_SECONDS, MAX_RETRY_SECONDS) == (0.5, 5.0)


async def test_a_fault_of_our_own_is_told_with_its_traceback_and_a_refusal_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> str:
        if faults:
            raise faults.pop()
        return "taken"

    for error in (VoxgateError("unavailable"), ZeroDivisionError()):
        faults: list[Exception] = [error]
        task = asyncio.create_task(insist(work))
        await elapse(RETRY_SECONDS)
        assert await task == "taken"
    assert [bool(record.exc_info) for record in caplog.records] == [False, True]


async def test_an_event_is_put_away_even_when_its_target_can_not_be_judged() -> None:
    yard = Yard()
    target = await yard.add()

    class Broken(MemoryKeyValue):
        async def get(self, key: str) -> None:
            raise VoxgateError("unavailable")

    yard.registry._store = Broken()
    await yard.undelivered.conclude(target, an_item(1, target), FAILED, kept=False)
    assert len(yard.kept) == 1


# -- judging targets -------------------------------------------------------------------------------------------------


async def test_a_target_that_is_gone_is_disabled_with_one_notice_however_many_deliveries_end_at_once() -> None:
    yard = Yard()
    target = await yard.add()
    await asyncio.gather(
        *(yard.undelivered.conclude(target, item, GONE, kept=False) for item in items(8, target)),
    )
    assert yard.registry.state(target.id).disabled == "it answered 410 Gone"
    assert [(notice.type, notice.data["targetId"]) for notice in yard.notices] == [(TARGET_DISABLED, target.id)]
    assert len(yard.queue.store.letters) == 8, "what it refused is not attempted again"


async def test_a_target_that_fails_for_five_days_is_disabled_with_one_notice() -> None:
    yard = Yard()
    target = await yard.add()
    began = yard.clock.now()
    for hours in (0, 1, 119.9):
        yard.clock.set_now(began + hours * HOUR)
        await yard.undelivered.conclude(target, an_item(1, target), FAILED, kept=False)
        assert yard.registry.state(target.id).disabled is None
    for hours in (120, 121):
        yard.clock.set_now(began + hours * HOUR)
        await yard.undelivered.conclude(target, an_item(1, target), FAILED, kept=False)
    assert yard.registry.state(target.id).disabled == "it failed for 5 days"
    assert len(yard.notices) == 1


async def test_one_success_in_between_begins_the_five_days_anew() -> None:
    yard = Yard()
    target = await yard.add()
    began = yard.clock.now()
    for hours, outcome in ((0, FAILED), (100, DELIVERED), (130, FAILED), (240, FAILED)):
        yard.clock.set_now(began + hours * HOUR)
        await yard.undelivered.conclude(target, an_item(1, target), outcome, kept=False)
    assert yard.registry.state(target.id).disabled is None
    assert yard.registry.state(target.id).failing_since == began + 130 * HOUR


async def test_what_was_in_flight_to_a_removed_target_is_dropped_and_leaves_no_trace() -> None:
    yard = Yard()
    target = await yard.add()
    await yard.registry.remove("crm")
    await yard.undelivered.conclude(target, an_item(1, target), FAILED, kept=False)
    await yard.undelivered.conclude(target, an_item(2, target), GONE, kept=False)
    await yard.undelivered.spill(target, items(3, target))
    assert await yard.undelivered.conclude_ordered(target, an_item(1, target), FAILED, 1) is None
    assert yard.stats.unwanted == 6
    assert (yard.queue.puts, yard.opened, yard.notices, yard.queue.store.letters) == ([], [], [], {})
    assert await yard.store.scan("fanout.state.") == {}
    await settle()
