"""Ordered lanes: the events of one key are delivered one after the other, whatever fails, and hold up no other key."""

import asyncio

from tests.fanout.bench import FAILED, GONE, Bench, a_target, an_item
from tests.fanout.manual_loop import ManualLoop, elapse, settle
from voxgate_core import DeadQuery
from voxgate_fanout.breaker import FAILURES, OPEN_SECONDS, BreakerState
from voxgate_fanout.dispatcher import HELD_SECONDS
from voxgate_fanout.lanes import lanes_of
from voxgate_fanout.leases import LEASE_SECONDS
from voxgate_fanout.records import encode_record
from voxgate_fanout.schedule import DELAYS
from voxgate_fanout.targets import Target

new_loop = ManualLoop


class Partitions:
    """A dispatcher with one target that wants its events in order."""

    def __init__(self, *, before: "Partitions | None" = None) -> None:
        self.bench: Bench = Bench() if before is None else Bench(store=before.bench.queue.store, kept=before.bench.kept)
        self.target: Target | None = None if before is None else before.target

    async def begin(self, *, concurrency: int = 8) -> Target:
        if self.target is None:
            self.target = await self.bench.add("ordered", order_by="subject", concurrency=concurrency)
        await self.bench.begin()
        for number in (0, 1, 2):
            await self.bench.dispatcher.open_lane(self.target, self.lane(number))
        return self.target

    def lane(self, number: int) -> str:
        assert self.target is not None
        return lanes_of(self.target)[1 + number]

    async def put(self, number: int, *events: str) -> None:
        assert self.target is not None
        for event in events:
            await self.bench.queue.put(self.lane(number), encode_record([an_item(event, self.target)]))
        await settle()

    def delivered(self, prefix: str) -> list[str]:
        return [event for _, event in self.bench.sender.delivered if event.startswith(f"evt_{prefix}")]


async def test_events_of_one_lane_are_delivered_one_after_the_other() -> None:
    ordered = Partitions()
    target = await ordered.begin()
    ordered.bench.sender.hang("evt_a1")
    await ordered.put(0, "a1", "a2", "a3")
    await ordered.put(1, "b1", "b2")
    assert ordered.bench.sender.ids(target.url) == ["evt_a1", "evt_b1", "evt_b2"]
    ordered.bench.sender.release("evt_a1")
    await settle()
    assert ordered.delivered("a") == ["evt_a1", "evt_a2", "evt_a3"]
    assert ordered.bench.queue.store.jobs == {}
    await ordered.bench.end()


async def test_one_that_fails_holds_up_its_own_lane_until_it_was_delivered() -> None:
    ordered = Partitions()
    await ordered.begin()
    ordered.bench.sender.next["evt_a1"] += [FAILED, FAILED]
    await ordered.put(0, "a1", "a2")
    await ordered.put(1, "b1", "b2")
    assert ordered.delivered("b") == ["evt_b1", "evt_b2"]
    await elapse(DELAYS[1] - 1.0)
    assert ordered.delivered("a") == []
    await elapse(DELAYS[1] + DELAYS[2])
    assert ordered.delivered("a") == ["evt_a1", "evt_a2"]
    assert ordered.bench.queue.handed_back == [(ordered.lane(0), DELAYS[1]), (ordered.lane(0), DELAYS[2])]
    assert ordered.bench.stats.retried == 2
    await ordered.bench.end()


async def test_one_that_fails_every_time_becomes_a_dead_letter_and_the_next_has_its_turn() -> None:
    ordered = Partitions()
    target = await ordered.begin()
    ordered.bench.sender.fail("evt_a1", "HTTP 500")
    await ordered.put(0, "a1", "a2")
    for number, delay in enumerate(DELAYS[1:]):
        await ordered.put(1, f"b{number}")
        await elapse(delay)
    assert ordered.delivered("a") == ["evt_a2"]
    (letter,) = await ordered.bench.queue.dead(DeadQuery(lane=target.id))
    assert (letter.id, letter.attempts, letter.reason) == ("evt_a1", len(DELAYS), "HTTP 500")
    await ordered.bench.end()


async def test_an_ordered_item_stays_in_hand_while_it_is_delivered_however_long_that_is() -> None:
    ordered = Partitions()
    target = await ordered.begin()
    ordered.bench.sender.hang("evt_a1")
    await ordered.put(0, "a1")
    await elapse(5 * LEASE_SECONDS)
    ordered.bench.sender.release("evt_a1")
    await settle()
    assert ordered.bench.sender.ids(target.url) == ["evt_a1"]
    await ordered.bench.end()


async def test_all_lanes_of_a_target_keep_to_its_concurrency() -> None:
    ordered = Partitions()
    target = await ordered.begin(concurrency=1)
    for number in range(3):
        await ordered.put(number, *(f"{'abc'[number]}{n}" for n in range(5)))
    assert ordered.bench.sender.peak[target.url] == 1
    for prefix in "abc":
        assert ordered.delivered(prefix) == [f"evt_{prefix}{n}" for n in range(5)]
    await ordered.bench.end()


async def test_waiting_for_the_breaker_is_no_attempt_and_keeps_the_order() -> None:
    ordered = Partitions()
    target = await ordered.begin(concurrency=1)
    ordered.bench.sender.fail(target.url)
    await ordered.bench.put(*(an_item(f"x{n}", target) for n in range(FAILURES)))
    assert ordered.bench.dispatcher.breaker(target.id) is BreakerState.OPEN
    for number in range(3):
        await ordered.put(number, *(f"{'abc'[number]}{n}" for n in range(3)))
    sent = len(ordered.bench.sender.sent)
    await elapse(OPEN_SECONDS - 1.0)
    assert len(ordered.bench.sender.sent) == sent
    ordered.bench.sender.heal(target.url)
    await elapse(2.0)
    for prefix in "abc":
        assert ordered.delivered(prefix) == [f"evt_{prefix}{n}" for n in range(3)]
    assert ordered.bench.queue.handed_back == []
    await ordered.bench.end()


async def test_a_breaker_that_rests_for_long_costs_an_event_none_of_its_attempts() -> None:
    ordered = Partitions()
    target = await ordered.begin()
    ordered.bench.sender.fail(target.url)
    await ordered.put(0, "a1")
    await ordered.put(1, "b1")
    await elapse(sum(DELAYS) * 2)
    letters = await ordered.bench.queue.dead(DeadQuery())
    assert sorted((letter.id, letter.attempts) for letter in letters) == [("evt_a1", 8), ("evt_b1", 8)]
    assert sorted(ordered.bench.sender.ids(target.url)) == ["evt_a1"] * 8 + ["evt_b1"] * 8
    await ordered.bench.end()


async def test_while_its_target_is_disabled_an_ordered_item_lies_in_its_lane() -> None:
    ordered = Partitions()
    target = await ordered.begin()
    await ordered.bench.registry.disable(target.id, "why")
    await ordered.put(0, "a1", "a2")
    await elapse(3600.0)
    assert ordered.bench.sender.sent == []
    await ordered.bench.registry.enable(target.id)
    await elapse(HELD_SECONDS)
    assert ordered.delivered("a") == ["evt_a1", "evt_a2"]
    await ordered.bench.end()


async def test_one_in_hand_when_its_target_is_disabled_is_given_back_and_keeps_its_place() -> None:
    ordered = Partitions()
    target = await ordered.begin(concurrency=1)
    ordered.bench.sender.hang("evt_a1")
    await ordered.put(0, "a1", "a2")
    await ordered.put(1, "b1", "b2")
    await ordered.bench.registry.disable(target.id, "why")
    await settle()
    assert ordered.bench.queue.handed_back == [(ordered.lane(1), HELD_SECONDS)]
    ordered.bench.sender.release("evt_a1")
    await elapse(60.0)
    assert ordered.delivered("") == ["evt_a1"]
    await ordered.bench.registry.enable(target.id)
    await settle()
    assert ordered.delivered("a") == ["evt_a1", "evt_a2"]
    assert ordered.delivered("b") == ["evt_b1", "evt_b2"]
    await ordered.bench.end()


async def test_a_target_that_is_gone_takes_the_event_it_refused_and_no_other() -> None:
    ordered = Partitions()
    target = await ordered.begin()
    ordered.bench.sender.always[target.url] = GONE
    await ordered.put(0, "a1", "a2")
    assert len(ordered.bench.notices) == 1
    letters = await ordered.bench.queue.dead(DeadQuery())
    assert [letter.id for letter in letters] == ["evt_a1"]
    assert len(ordered.bench.queue.store.of(ordered.lane(0))) == 1
    await ordered.bench.end()


async def test_what_can_not_be_read_is_buried_and_the_next_has_its_turn() -> None:
    ordered = Partitions()
    target = await ordered.begin()
    for body in (b"\xc1", encode_record([]), encode_record([an_item(1)]), encode_record([an_item(1, target, target)])):
        await ordered.bench.queue.put(ordered.lane(0), body)
    await ordered.put(0, "a1")
    assert ordered.delivered("a") == ["evt_a1"]
    assert {letter.lane for letter in await ordered.bench.queue.dead(DeadQuery())} == {ordered.lane(0)}
    assert len(ordered.bench.queue.store.letters) == 4
    await ordered.bench.end()


async def test_what_names_a_target_that_nobody_knows_is_dropped_and_the_next_has_its_turn() -> None:
    ordered = Partitions()
    await ordered.begin()
    await ordered.bench.queue.put(ordered.lane(0), encode_record([an_item("lost", a_target("nobody"))]))
    await ordered.put(0, "a1")
    assert ordered.bench.stats.unwanted == 1
    assert ordered.delivered("") == ["evt_a1"]
    await ordered.bench.end()


async def test_what_belongs_to_a_removed_target_is_dropped() -> None:
    ordered = Partitions()
    target = await ordered.begin()
    ordered.bench.sender.hang("evt_a1")
    await ordered.put(0, "a1")
    await ordered.bench.registry.remove("ordered")
    ordered.bench.sender.fail("evt_a1")
    ordered.bench.sender.release("evt_a1")
    await settle()
    assert ordered.bench.stats.unwanted == 1
    await ordered.bench.queue.put("events", encode_record([an_item("late", target)]))
    await elapse(5.0)
    assert ordered.bench.stats.unwanted == 2
    await ordered.bench.end()


async def test_at_the_end_what_flies_is_finished_and_what_waits_is_handed_back_in_its_place() -> None:
    ordered = Partitions()
    await ordered.begin(concurrency=1)
    ordered.bench.sender.hang("evt_a1")
    await ordered.put(0, "a1", "a2")
    await ordered.put(1, "b1", "b2")
    ending = asyncio.create_task(ordered.bench.dispatcher.end(8.0))
    await elapse(5.0)
    assert not ending.done(), "what is in flight has its time"
    ordered.bench.sender.release("evt_a1")
    await ending
    assert ordered.delivered("") == ["evt_a1"]
    await ordered.bench.end()
    again = Partitions(before=ordered)
    await again.begin()
    await elapse(HELD_SECONDS)
    assert again.delivered("a") == ["evt_a2"]
    assert again.delivered("b") == ["evt_b1", "evt_b2"]
    await again.bench.end()


async def test_after_a_crash_the_item_comes_again_before_those_behind_it() -> None:
    ordered = Partitions()
    await ordered.begin()
    ordered.bench.sender.hang("evt_a1")
    await ordered.put(0, "a1", "a2")
    ordered.bench.crash()
    await settle()
    again = Partitions(before=ordered)
    await again.begin()
    await elapse(LEASE_SECONDS + 1.0)
    assert again.delivered("a") == ["evt_a1", "evt_a2"]
    await again.bench.end()
