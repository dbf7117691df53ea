"""Records on their way: acknowledged when everything in them is safe, worked again when it is not."""

import asyncio

import pytest

from tests.fanout.bench import FAILED, Bench, an_item, items, url_of
from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle
from voxgate_core import DeadQuery, VoxgateError
from voxgate_fanout.dispatcher import RECONCILE_SECONDS
from voxgate_fanout.intake import EVENT_RECORDS
from voxgate_fanout.lanes import EVENTS, lane_of, lanes_of
from voxgate_fanout.leases import LEASE_SECONDS
from voxgate_fanout.load import PER_TARGET
from voxgate_fanout.records import MAX_ITEMS, encode_record
from voxgate_fanout.schedule import DELAYS
from voxgate_fanout.undelivered import MAX_BACKLOG

new_loop = ManualLoop


async def test_a_delivered_record_costs_no_write_and_no_time() -> None:
    bench = Bench()
    targets = [await bench.add(name) for name in ("a", "b", "c")]
    await bench.begin()
    await bench.put(*items(10, *targets))
    assert sorted(bench.sender.delivered) == sorted((url_of(n), f"evt_{e}") for n in "abc" for e in range(1, 11))
    assert len(bench.queue.acked) == 1
    assert [lane for lane, _, _ in bench.queue.puts] == [EVENTS]
    assert manual_clock().monotonic() == 0.0
    assert (bench.stats.attempts, bench.stats.delivered) == (30, 30)
    await bench.end()


async def test_a_record_is_acknowledged_only_after_its_last_parcel_is_settled() -> None:
    bench = Bench()
    targets = [await bench.add(name) for name in ("a", "b")]
    await bench.begin()
    for key in ("evt_1", "evt_3"):
        bench.sender.hang(key)
    await bench.put(*items(3, *targets))
    for key in ("evt_1", "evt_3"):
        assert bench.queue.acked == []
        bench.sender.release(key)
        await settle()
    assert len(bench.queue.acked) == 1
    await bench.end()


async def test_a_record_whose_first_parcels_settle_at_once_waits_for_those_to_targets_not_heard_of_yet() -> None:
    bench, elsewhere = Bench(), Bench()
    known = await bench.add("known")
    await bench.begin()
    elsewhere.registry._store = bench.kept
    strange = await elsewhere.add("strange")
    bench.sender.hang(strange.url)
    await bench.put(an_item(1, known), an_item(2, strange))
    assert bench.sender.delivered == [(known.url, "evt_1")]
    assert bench.queue.acked == []
    bench.sender.release(strange.url)
    await settle()
    assert len(bench.queue.acked) == 1
    await bench.end()


async def test_a_target_that_can_not_be_looked_up_holds_up_no_other_and_is_not_lost() -> None:
    bench, elsewhere = Bench(), Bench()
    known = await bench.add("known")
    await bench.begin()
    elsewhere.registry._store = bench.kept
    strange = await elsewhere.add("strange")
    kept, get = bench.kept, bench.kept.get

    async def fail(key: str) -> None:
        raise VoxgateError("unavailable")

    kept.get = fail  # type: ignore[method-assign]
    await bench.put(an_item(1, strange), an_item(2, known))
    assert bench.sender.delivered == [(known.url, "evt_2")]
    await elapse(10 * LEASE_SECONDS)
    assert bench.queue.acked == []
    kept.get = get  # type: ignore[method-assign]
    await elapse(6.0)
    assert bench.sender.ids(strange.url) == ["evt_1"]
    assert bench.sender.ids(known.url) == ["evt_2"], "it was extended all the time, and not worked twice"
    assert len(bench.queue.acked) == 1
    await bench.end()


async def test_parcels_of_removed_and_unknown_targets_are_dropped_and_counted() -> None:
    bench = Bench()
    gone, there = await bench.add("gone"), await bench.add("there")
    await bench.begin()
    await bench.registry.remove("gone")
    await bench.put(*items(3, gone, there))
    assert bench.stats.unwanted == 3
    assert len(bench.sender.ids(there.url)) == 3
    assert len(bench.queue.acked) == 1
    await bench.put(an_item(4))
    assert len(bench.queue.acked) == 2
    await bench.end()


async def test_a_record_that_can_not_be_read_is_buried_and_holds_up_nothing() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    await bench.queue.put(EVENTS, b"\xc1 no record")
    await bench.put(an_item(1, target))
    (letter,) = await bench.queue.dead(DeadQuery())
    assert (letter.lane, letter.body) == (EVENTS, b"\xc1 no record")
    assert len(bench.queue.acked) == 2
    assert bench.stats.dead == 1
    await bench.end()


async def test_a_crash_leaves_the_record_to_be_worked_again() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    bench.sender.hang("evt_2")
    await bench.put(*items(2, target))
    bench.crash()
    await settle()
    again = Bench(store=bench.queue.store, kept=bench.kept)
    await again.begin()
    assert again.sender.sent == [], "its lease has not run out yet"
    await elapse(LEASE_SECONDS + 1.0)
    assert again.sender.ids(target.url) == ["evt_1", "evt_2"]
    assert again.queue.store.jobs == {}
    await again.end()


async def test_a_handler_that_is_cancelled_acknowledges_nothing() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    bench.sender.hang(target.url)
    await bench.put(an_item(1, target))
    worker = bench.queue.workers[EVENTS]
    stopping = asyncio.create_task(worker.stop(0.0))
    await stopping
    bench.sender.release(target.url)
    await settle()
    assert bench.queue.acked == []
    assert bench.queue.handed_back == [(EVENTS, 0.0)]
    assert len(bench.queue.store.jobs) == 1
    await bench.end()


@pytest.mark.parametrize("method", ["put", "open_lane", "work"])
async def test_a_store_that_fails_while_a_failure_is_put_away_loses_nothing(method: str) -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    bench.sender.next["evt_1"].append(FAILED)
    bench.queue.refuses = lambda asked, lane: asked == method and lane == lane_of(target.id)
    await bench.put(an_item(1, target))
    await elapse(10 * LEASE_SECONDS)
    assert bench.queue.acked == []
    assert len(bench.sender.sent) == 1
    bench.queue.refuses = lambda asked, lane: False
    await elapse(6.0)
    assert len(bench.queue.acked) == 2, "its moment had passed: the retry came at once"
    assert bench.sender.ids(target.url) == ["evt_1", "evt_1"]
    assert bench.sender.delivered == [(target.url, "evt_1")]
    await bench.end()


async def test_a_lost_acknowledgement_has_the_record_worked_again_with_the_same_ids() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    bench.queue.refuses = lambda asked, lane: asked == "ack"
    await bench.put(an_item(1, target))
    bench.queue.refuses = lambda asked, lane: False
    await elapse(LEASE_SECONDS)
    assert bench.sender.ids(target.url) == ["evt_1", "evt_1"]
    assert len(bench.queue.acked) == 1
    await bench.end()


async def test_a_retry_comes_out_of_the_targets_lane_and_is_worked_like_everything() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    bench.sender.next["evt_1"] += [FAILED] * 2
    await bench.put(an_item(1, target))
    await elapse(DELAYS[1] - 1.0)
    assert len(bench.sender.sent) == 1
    await elapse(2.0)
    assert len(bench.sender.sent) == 2
    await elapse(DELAYS[2])
    assert bench.sender.delivered == [(target.url, "evt_1")]
    assert {delivery.headers["webhook-id"] for delivery in bench.sender.sent} == {"evt_1"}
    assert bench.queue.store.jobs == {}
    await bench.end()


async def test_an_event_that_fails_every_time_becomes_a_dead_letter_with_its_attempts() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    bench.sender.fail("evt_1", "HTTP 418")
    await bench.put(an_item(1, target))
    for number, delay in enumerate(DELAYS[1:], start=1):
        assert len(bench.sender.sent) == number
        # Others are delivered, and keep the breaker closed.
        await bench.put(an_item(f"other{number}", target))
        await elapse(delay + 1.0)
        bench.sender.sent.pop(number)
    (letter,) = await bench.queue.dead(DeadQuery(lane=target.id))
    assert (letter.id, letter.reason, letter.attempts) == ("evt_1", "HTTP 418", len(DELAYS))
    assert bench.sender.ids(target.url) == ["evt_1"] * len(DELAYS)
    assert bench.queue.store.jobs == {}
    await bench.end()


async def test_a_lane_that_is_full_turns_what_is_spilled_into_dead_letters() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    await bench.registry.disable(target.id, "a test")
    keeping = asyncio.create_task(bench.dispatcher.keep_up())
    await settle()
    bench.dispatcher._undelivered.measure({lane_of(target.id): MAX_BACKLOG})
    await bench.put(*items(3, target))
    assert len(bench.queue.store.letters) == 3
    await elapse(RECONCILE_SECONDS)  # it is looked at again, and has room
    await bench.put(an_item(4, target))
    assert len(bench.queue.store.letters) == 3
    assert bench.dispatcher.is_full(lane_of(target.id)) is False
    keeping.cancel()
    await asyncio.wait([keeping])
    await bench.end()


async def test_no_more_records_are_opened_than_there_is_use_for_and_the_rest_waits_on_disk() -> None:
    bench = Bench()
    target = await bench.add(concurrency=1)
    await bench.begin()
    bench.sender.hang(target.url)
    for number in range(10):
        await bench.put(*items(40, target, first=40 * number))
    assert bench.dispatcher.waiting(target.id) <= PER_TARGET + 40
    assert bench.queue.workers[EVENTS].slots == 0
    bench.sender.release(target.url)
    await settle()
    assert bench.queue.workers[EVENTS].slots == EVENT_RECORDS
    assert len(bench.sender.delivered) == 400
    assert bench.stats.spilled == 0
    await bench.end()


async def test_a_burst_of_full_records_is_given_to_a_healthy_target_from_memory() -> None:
    bench = Bench()
    target = await bench.add()
    for number in range(30):
        await bench.queue.put(EVENTS, encode_record(items(MAX_ITEMS, target, first=MAX_ITEMS * number)))
    await bench.begin()
    await settle()
    assert len(bench.sender.delivered) == 30 * MAX_ITEMS
    assert bench.stats.spilled == 0
    assert manual_clock().monotonic() == 0.0
    await bench.end()


async def test_lanes_that_another_process_left_are_worked_from_the_beginning_and_later_on() -> None:
    bench = Bench()
    targets = [await bench.add(name) for name in ("a", "b")]
    lanes = [lane_of(target.id) for target in targets]
    await bench.queue.open_lane(lanes[0], in_hand=64, lease=LEASE_SECONDS)
    await bench.queue.put(lanes[0], encode_record([an_item(1, targets[0], attempt=3)]))
    await bench.begin()
    keeping = asyncio.create_task(bench.dispatcher.keep_up())
    await settle()
    assert bench.sender.ids(targets[0].url) == ["evt_1"]
    await bench.queue.open_lane(lanes[1], in_hand=64, lease=LEASE_SECONDS)
    await bench.put(an_item(2, targets[1]), lane=lanes[1])
    assert bench.sender.ids(targets[1].url) == []
    bench.queue.unavailable = True
    await elapse(RECONCILE_SECONDS)
    bench.queue.unavailable = False
    await elapse(RECONCILE_SECONDS)
    assert bench.sender.ids(targets[1].url) == ["evt_2"]
    keeping.cancel()
    await asyncio.wait([keeping])
    await bench.end()


async def test_two_processes_share_the_work_and_each_event_is_delivered_once() -> None:
    first = Bench()
    plain, ordered = await first.add("plain"), await first.add("ordered", order_by="subject")
    second = Bench(store=first.queue.store, kept=first.kept)
    lane = lanes_of(ordered)[1]
    for bench in (first, second):
        await bench.begin()
        await bench.dispatcher.open_lane(ordered, lane)
    for number in range(30):
        await first.queue.put(EVENTS, encode_record([an_item(f"p{number}", plain)]))
        await second.queue.put(lane, encode_record([an_item(f"o{number}", ordered)]))
    await settle()
    sent = [delivery.headers["webhook-id"] for bench in (first, second) for delivery in bench.sender.sent]
    assert sorted(sent) == sorted([f"evt_{kind}{number}" for kind in "po" for number in range(30)])
    assert first.queue.store.jobs == {}
    for bench in (first, second):
        await bench.dispatcher.end(8.0)
    for bench in (first, second):
        await bench.end()
