"""How a dispatcher stops: what flies is finished, what waits is put away or handed back, and nothing is left."""

import asyncio

import pytest

from tests.fanout.bench import Bench, an_item, items
from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle
from voxgate_core import VoxgateError
from voxgate_fanout.lanes import EVENTS, lane_of

new_loop = ManualLoop


async def test_at_the_end_what_flies_is_finished_and_what_waits_is_put_away() -> None:
    bench = Bench()
    target = await bench.add(concurrency=1)
    await bench.begin()
    bench.sender.hang("evt_1")
    await bench.put(*items(4, target))
    ending = asyncio.create_task(bench.dispatcher.end(8.0))
    await settle()
    assert bench.stats.spilled == 3
    assert not ending.done()
    bench.sender.release("evt_1")
    await ending
    assert bench.sender.delivered == [(target.url, "evt_1")]
    assert len(bench.queue.acked) == 1
    await bench.end()


async def test_what_hangs_at_the_end_is_handed_back_and_worked_by_the_next() -> None:
    bench = Bench()
    target, well = await bench.add("hung"), await bench.add("well")
    await bench.begin()
    bench.sender.hang(target.url)
    await bench.put(an_item(1, target, well))
    ending = asyncio.create_task(bench.dispatcher.end(8.0))
    await elapse(8.0)
    assert not ending.done()
    await elapse(2.0)
    await ending
    assert bench.sender.cancelled == ["evt_1"]
    assert bench.queue.handed_back == [(EVENTS, 0.0)]
    await bench.end()
    again = Bench(store=bench.queue.store, kept=bench.kept)
    await again.begin()
    await settle()
    assert sorted(again.sender.delivered) == [(target.url, "evt_1"), (well.url, "evt_1")]
    await again.end()


async def test_records_that_wait_unopened_at_the_end_are_handed_back_at_once() -> None:
    bench = Bench()
    target = await bench.add(concurrency=1)
    bench.sender.hang(target.url)
    for number in range(4):
        await bench.put(*items(100, target, first=100 * number))
    await bench.begin()
    await settle()
    assert bench.queue.workers[EVENTS].in_hand == 4
    ending = asyncio.create_task(bench.dispatcher.end(8.0))
    await settle()
    assert bench.queue.handed_back == [(EVENTS, 0.0)] * 3
    bench.sender.release(target.url)
    await ending
    assert manual_clock().monotonic() == 0.0
    await bench.end()


async def test_targets_that_are_first_heard_of_during_the_end_are_not_sent_to() -> None:
    bench = Bench()
    target = await bench.add(concurrency=1)
    await bench.begin()
    bench.sender.hang("evt_1")
    await bench.put(an_item(1, target))
    ending = asyncio.create_task(bench.dispatcher.end(8.0))
    await settle()
    late = await bench.add("late")
    outbox = bench.dispatcher._outbox_of(late)
    assert outbox.is_idle
    assert await outbox.send(an_item(2, late)) is None
    bench.sender.release("evt_1")
    await ending
    await bench.end()


async def test_ending_before_it_began_and_twice_is_no_fault() -> None:
    bench = Bench()
    await bench.dispatcher.end(1.0)
    await bench.dispatcher.end(1.0)
    await bench.end()


async def test_a_backplane_that_is_down_at_the_start_is_told_and_leaves_nothing_running() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.queue.open_lane(lane_of(target.id), in_hand=1, lease=1.0)
    bench.queue.refuses = lambda method, lane: method == "work" and lane == EVENTS
    with pytest.raises(VoxgateError, match="unavailable"):
        await bench.begin()
    await bench.end()


async def test_a_worker_that_can_not_be_stopped_does_not_keep_the_rest_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    await bench.begin()
    stop = bench.queue.workers[EVENTS].stop

    async def fail(seconds: float = 0.0) -> None:
        await stop(seconds)
        raise ZeroDivisionError

    bench.queue.workers[EVENTS].stop = fail  # type: ignore[method-assign]
    await bench.end()
    assert "could not be stopped" in caplog.text
