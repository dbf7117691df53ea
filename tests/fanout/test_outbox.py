"""An outbox delivers from memory, never more at once than it may, and settles a parcel only when it is safe."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.fanout.bench import FAILED, Desk, a_target, an_item, items
from tests.fanout.fake_queue import DELIVERED
from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle
from voxgate_fanout.outbox import PATIENCE
from voxgate_fanout.targets import Target

new_loop = ManualLoop


def _with(target: Target, **changes: Any) -> Target:
    return msgspec.structs.replace(target, **changes)


async def test_a_parcel_is_delivered_without_any_time_passing_and_then_settled() -> None:
    desk = Desk(a_target())
    await desk.offer(an_item(1)).settled()
    assert desk.office.concluded == [("evt_1", DELIVERED, False)]
    assert desk.office.spilled == []
    assert manual_clock().monotonic() == 0.0
    await desk.end()


async def test_a_parcel_is_settled_only_after_what_came_of_it_was_put_away() -> None:
    desk = Desk(a_target())
    desk.office.otherwise = FAILED
    desk.office.disk.clear()
    receipt = desk.offer(an_item(1))
    await settle()
    assert desk.office.attempts == ["evt_1"]
    assert not receipt.settled().done()
    desk.office.disk.set()
    await receipt.settled()
    assert desk.office.concluded == [("evt_1", FAILED, False)]
    await desk.end()


async def test_whether_it_was_kept_in_the_lane_before_is_told_to_who_puts_it_away() -> None:
    desk = Desk(a_target())
    await desk.offer(an_item(1), kept=True).settled()
    assert desk.office.concluded == [("evt_1", DELIVERED, True)]
    await desk.end()


@pytest.mark.parametrize("concurrency", [1, 2, 7])
async def test_no_more_are_in_flight_than_the_target_takes(concurrency: int) -> None:
    desk = Desk(a_target(concurrency=concurrency))
    desk.office.hangs = True
    receipt = desk.offer(*items(20))
    await settle()
    while desk.office.hanging:
        assert desk.office.in_flight == min(concurrency, 20 - len(desk.office.delivered))
        desk.office.let_go(next(iter(desk.office.hanging)))
        await settle()
    await receipt.settled()
    assert desk.office.peak == concurrency
    assert desk.office.attempts == [f"evt_{number}" for number in range(1, 21)]
    await desk.end()


async def test_turns_of_ordered_lanes_count_among_them() -> None:
    desk = Desk(a_target(concurrency=2))
    desk.office.hangs = True
    sends = [asyncio.create_task(desk.outbox.send(item)) for item in items(8)]
    receipt = desk.offer(*items(4, first=9))
    await settle()
    while desk.office.hanging:
        desk.office.let_go(next(iter(desk.office.hanging)))
        await settle()
    assert desk.office.peak == 2
    assert await asyncio.gather(*sends) == [DELIVERED] * 8
    await receipt.settled()
    await desk.end()


async def test_fewer_at_once_are_in_flight_after_the_target_was_changed_so() -> None:
    target = a_target(concurrency=6)
    desk = Desk(target)
    desk.office.hangs = True
    desk.offer(*items(30), kept=True)
    await settle()
    assert desk.office.in_flight == 6
    desk.outbox.adopt(_with(target, concurrency=2), disabled=False)
    for _ in range(6):
        desk.office.let_go(next(iter(desk.office.hanging)))
        await settle()
    assert desk.office.in_flight == 2
    desk.outbox.adopt(_with(target, concurrency=5), disabled=False)
    await settle()
    assert desk.office.in_flight == 5
    await desk.end()


async def test_a_changed_target_gets_what_is_sent_from_then_on() -> None:
    target = a_target()
    desk = Desk(target)
    await desk.offer(an_item(1)).settled()
    desk.outbox.adopt(_with(target, url="https://new.example/"), disabled=False)
    await desk.offer(an_item(2)).settled()
    assert desk.office.urls == [target.url, "https://new.example/"]
    await desk.end()


async def test_many_parcels_at_once_start_no_more_runners_than_there_are_places() -> None:
    desk = Desk(a_target(concurrency=3))
    receipt = desk.offer(*items(50))
    assert len(asyncio.all_tasks()) == 1 + 3
    await receipt.settled()
    receipt = desk.offer(*items(2))
    assert len(asyncio.all_tasks()) == 1 + 2
    await receipt.settled()
    await desk.end()


async def test_fresh_and_kept_parcels_take_turns() -> None:
    desk = Desk(a_target(concurrency=1))
    desk.office.hangs = True
    desk.offer(an_item("first"))
    await settle()
    desk.offer(*[an_item(f"k{n}") for n in range(6)], kept=True)
    desk.offer(*[an_item(f"f{n}") for n in range(3)])
    while desk.office.hanging:
        desk.office.let_go()
        await settle()
    order = [event.removeprefix("evt_") for event in desk.office.attempts]
    assert order == ["first", "k0", "f0", "k1", "f1", "k2", "f2", "k3", "k4", "k5"]
    await desk.end()


# -- what nobody foresaw ---------------------------------------------------------------------------------------------


async def test_an_attempt_that_raises_has_its_record_worked_again_and_the_others_go_on() -> None:
    desk = Desk(a_target(concurrency=1))
    desk.office.outcomes["evt_1"] = ZeroDivisionError("?")
    bad, good = desk.offer(an_item(1)), desk.offer(an_item(2))
    with pytest.raises(ZeroDivisionError):
        await bad.settled()
    await good.settled()
    await settle()
    assert desk.outbox.waiting == 0
    await desk.end()


async def test_a_turn_whose_attempt_raises_raises_it() -> None:
    desk = Desk(a_target())
    desk.office.outcomes["evt_1"] = ZeroDivisionError("?")
    with pytest.raises(ZeroDivisionError):
        await desk.outbox.send(an_item(1))
    await desk.end()


async def test_what_can_not_be_put_away_has_its_record_worked_again_and_leaves_its_place() -> None:
    desk = Desk(a_target(concurrency=1))
    desk.office.broken = ZeroDivisionError("?")
    receipt = desk.offer(an_item(1))
    with pytest.raises(ZeroDivisionError):
        await receipt.settled()
    desk.office.broken = None
    await desk.offer(an_item(2)).settled()
    await desk.end()


async def test_what_can_not_be_spilled_has_its_record_worked_again() -> None:
    desk = Desk(a_target(), disabled=True)
    desk.office.broken = ZeroDivisionError("?")
    receipt = desk.offer(*items(3))
    with pytest.raises(ZeroDivisionError):
        await receipt.settled()
    desk.office.broken = None
    await desk.offer(an_item(4)).settled()
    assert desk.office.spilled == ["evt_4"]
    await desk.end()


# -- disabled, drained, abandoned ------------------------------------------------------------------------------------


async def test_while_disabled_everything_is_spilled_in_one_write_after_the_other() -> None:
    desk = Desk(a_target(), disabled=True)
    first = desk.offer(*items(3))
    kept = desk.offer(*items(2, first=4), kept=True)
    await asyncio.gather(first.settled(), kept.settled())
    assert desk.office.spilled == ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5"]
    assert desk.office.writes == 1
    assert desk.office.attempts == []
    assert await desk.outbox.send(an_item(6)) is None
    await desk.end()


async def test_nothing_is_settled_before_its_spill_is_stored() -> None:
    desk = Desk(a_target(), disabled=True)
    desk.office.disk.clear()
    receipt = desk.offer(*items(2))
    await settle()
    assert not receipt.settled().done()
    desk.office.disk.set()
    await receipt.settled()
    await desk.end()


async def test_a_target_disabled_in_the_middle_of_things_keeps_what_waits_and_ends_what_flies() -> None:
    target = a_target(concurrency=1)
    desk = Desk(target)
    desk.office.hangs = True
    flying = desk.offer(an_item(1))
    fresh, kept = desk.offer(an_item(2)), desk.offer(an_item(3), kept=True)
    turn = asyncio.create_task(desk.outbox.send(an_item(4)))
    await settle()
    desk.outbox.adopt(target, disabled=True)
    await asyncio.gather(fresh.settled(), kept.settled())
    assert sorted(desk.office.spilled) == ["evt_2", "evt_3"]
    assert await turn is None
    assert not flying.settled().done()
    desk.office.let_go()
    await flying.settled()
    assert desk.office.paces[-1].value == "stopped"
    desk.outbox.adopt(target, disabled=False)
    assert desk.office.paces[-1].value == "full"
    desk.office.hangs = False
    await desk.offer(an_item(5)).settled()
    assert desk.office.delivered == ["evt_1", "evt_5"]
    await desk.end()


async def test_a_drained_outbox_spills_what_waits_and_what_comes_and_ends_what_flies() -> None:
    desk = Desk(a_target(concurrency=2, rate=1.0))
    desk.office.hangs = True
    receipts = [desk.offer(item) for item in items(4)]
    turn = asyncio.create_task(desk.outbox.send(an_item(5)))
    await settle()
    assert desk.office.attempts == ["evt_1"]
    desk.outbox.drain()
    late = desk.offer(an_item(6))
    assert await desk.outbox.send(an_item(7)) is None
    await asyncio.gather(*(receipt.settled() for receipt in receipts[1:]), late.settled())
    assert await turn is None
    assert sorted(desk.office.spilled) == ["evt_2", "evt_3", "evt_4", "evt_6"]
    assert desk.office.attempts == ["evt_1"]
    await desk.end()
    assert receipts[0].settled().done()


async def test_an_abandoned_outbox_settles_nothing_and_leaves_nothing_running() -> None:
    desk = Desk(a_target(concurrency=1))
    desk.office.hangs = True
    flying, waiting = desk.offer(an_item(1)), desk.offer(an_item(2))
    await settle()
    desk.office.disk.clear()
    await desk.outbox.abandon()
    assert not flying.settled().done()
    assert not waiting.settled().done()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_turn_whose_holder_is_gone_leaves_the_line() -> None:
    desk = Desk(a_target(concurrency=1))
    desk.office.hangs = True
    desk.offer(an_item(1))
    gone = asyncio.create_task(desk.outbox.send(an_item(2)))
    flies = asyncio.create_task(desk.outbox.send(an_item(3)))
    await settle()
    gone.cancel()
    await settle()
    assert desk.outbox.waiting == 2
    desk.office.let_go()
    await settle()
    flies.cancel()
    await settle()
    desk.office.let_go()  # nobody wants to know, and the place is free again
    await settle()
    assert desk.office.attempts == ["evt_1", "evt_3"]
    assert desk.outbox.waiting == 0
    await desk.end()


async def test_memory_holds_what_waits_what_flies_and_what_is_on_its_way_to_the_lane() -> None:
    desk = Desk(a_target(concurrency=1))
    desk.office.hangs = True
    desk.offer(*items(3))
    desk.offer(*items(2, first=4), kept=True)
    assert desk.outbox.waiting == 5
    await settle()
    assert desk.outbox.waiting == 5
    desk.office.disk.clear()
    await elapse(PATIENCE)  # the fresh ones are to be spilled
    assert desk.outbox.waiting == 5
    desk.office.disk.set()
    await settle()
    assert desk.outbox.waiting == 3
    await desk.end()
