"""Fan-out as it runs: targets that come and go, what an operator may do, how it begins and ends."""

import asyncio
import json

import pytest

from tests.fanout.bench import FAILED, GONE, House, an_event, an_item, url_of
from tests.fanout.manual_loop import ManualLoop, elapse, settle
from voxgate_core import DeadQuery, VoxgateError
from voxgate_fanout.dispatcher import RECONCILE_SECONDS
from voxgate_fanout.lanes import EVENTS, lane_of, target_of
from voxgate_fanout.outcome import OutcomeKind
from voxgate_fanout.records import decode_record
from voxgate_fanout.service import FLUSH_SECONDS, MEASURE_SECONDS, Accepted

new_loop = ManualLoop


# -- targets that come and go meanwhile ------------------------------------------------------------------------------


async def test_a_target_that_is_removed_while_its_lane_is_opened_leaves_nothing_behind() -> None:
    house = House()
    target = await house.add("ordered", order_by="subject")
    async with house.running():
        accepting = asyncio.create_task(house.fanout.accept(an_event(1, subject="s")))
        await asyncio.sleep(0)
        await house.fanout.remove("ordered")
        await accepting
        await elapse(RECONCILE_SECONDS + 1.0)
        assert set(house.queue.store.opened) == {EVENTS}
        assert house.queue.store.jobs == {}
        assert target.id not in {target_of(lane) for lane in house.fanout._ordered}


async def test_a_removed_target_is_sent_nothing_more_and_the_others_get_everything() -> None:
    house = House()
    target, well = await house.add("gone", concurrency=1), await house.add("well")
    async with house.running():
        house.sender.hang(target.url)
        for number in range(5):
            await house.fanout.accept(an_event(number))
        removed = await house.fanout.remove("gone")
        assert removed == target
        house.sender.release(target.url)
        await settle()
        assert len(house.sender.ids(target.url)) == 1
        assert len(house.sender.ids(well.url)) == 5
        assert await house.fanout.accept(an_event(6)) == Accepted("evt_6", ("well",))


async def test_lanes_that_can_not_be_closed_when_their_target_is_removed_are_closed_later() -> None:
    house = House()
    target = await house.add()
    async with house.running():
        house.sender.next["evt_1"].append(FAILED)
        await house.fanout.accept(an_event(1))
        await settle()
        assert lane_of(target.id) in house.queue.store.opened
        house.queue.refuses = lambda method, lane: method in ("close_lane", "lanes")
        await house.fanout.remove("crm")
        house.queue.refuses = lambda method, lane: False
        await elapse(RECONCILE_SECONDS)
        assert set(house.queue.store.opened) == {EVENTS}
        assert house.queue.store.jobs == {}


async def test_a_target_that_is_added_gets_what_is_accepted_from_then_on() -> None:
    house = House()
    async with house.running():
        await house.fanout.accept(an_event(1))
        late = await house.add("late")
        await house.fanout.accept(an_event(2))
        await settle()
        assert house.sender.ids(late.url) == ["evt_2"]


# -- operating -------------------------------------------------------------------------------------------------------


async def test_a_dead_letter_is_replayed_under_its_id_from_the_first_attempt() -> None:
    house = House()
    target = await house.add()
    async with house.running():
        house.sender.always["evt_1"] = FAILED
        await house.fanout.dispatcher.refuse(target, an_item(1, target))
        (letter,) = await house.fanout.dead(DeadQuery(id="evt_1"))
        await house.fanout.replay(letter)
        await settle()
        assert house.sender.ids(target.url) == ["evt_1"]
        assert await house.fanout.dead(DeadQuery()) == []
        (retry,) = [body for lane, body, _ in house.queue.puts if lane == lane_of(target.id)]
        assert decode_record(retry)[0].attempt == 2


async def test_a_dead_letter_whose_target_was_removed_is_not_replayed_and_stays() -> None:
    house = House()
    target = await house.add()
    async with house.running():
        await house.fanout.dispatcher.refuse(target, an_item(1, target))
        await house.fanout.dispatcher._undelivered.bury_unreadable(EVENTS, b"\xc1")
        await house.fanout.remove("crm")
        for letter in await house.fanout.dead(DeadQuery()):
            with pytest.raises(VoxgateError, match="not_found"):
                await house.fanout.replay(letter)
        assert len(await house.fanout.dead(DeadQuery())) == 2


async def test_a_test_event_is_sent_past_everything_that_waits() -> None:
    house = House()
    target = await house.add(concurrency=1)
    async with house.running():
        house.sender.hang("evt_1")
        await house.fanout.accept(an_event(1))
        await settle()
        outcome = await house.fanout.test("crm")
        assert outcome.kind is OutcomeKind.DELIVERED
        assert house.sender.ids(target.url)[1] != "evt_1"
        with pytest.raises(VoxgateError, match="not_found"):
            await house.fanout.test("nobody")
        house.sender.release("evt_1")


async def test_how_a_target_and_the_process_fare_is_told() -> None:
    house = House()
    target = await house.add()
    async with house.running():
        assert house.fanout.standing(target.id) == {"breaker": "closed", "waiting": 0}
        await house.fanout.accept(an_event(1))
        await settle()
        summary = house.fanout.summary()
        assert json.loads(json.dumps(summary)) == summary
        assert (summary["targets"], summary["delivered"], summary["disabled"], summary["full"]) == (1, 1, 0, False)


# -- life ------------------------------------------------------------------------------------------------------------


async def test_what_was_published_just_before_the_stop_is_stored() -> None:
    house = House()
    await house.add()
    async with house.running():
        house.fanout.publish(an_event(1))
    assert house.stored(EVENTS) == ["evt_1"]


async def test_a_store_that_is_down_at_the_stop_holds_it_up_no_longer_than_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = House()
    await house.add()
    context = house.fanout.running()
    await context.__aenter__()
    await settle()
    house.queue.refuses = lambda method, lane: method == "put"
    house.fanout.publish(an_event(1))
    leaving = asyncio.ensure_future(context.__aexit__(None, None, None))
    await elapse(2 * FLUSH_SECONDS + 1.0)
    await leaving
    assert "were not stored before the stop" in caplog.text


async def test_a_notice_that_the_end_brings_is_stored_too() -> None:
    house = House()
    target = await house.add("gone")
    await house.add("well")
    context = house.fanout.running()
    await context.__aenter__()
    await settle()
    house.sender.hang(target.url)
    house.sender.always[target.url] = GONE
    await house.fanout.accept(an_event(1))
    await settle()
    leaving = asyncio.ensure_future(context.__aexit__(None, None, None))
    await settle()
    house.sender.release(target.url)
    await leaving
    assert len(house.stored(EVENTS)) == 2
    again = House(before=house)
    async with again.running():
        await settle()
        assert len(again.sender.ids(url_of("well"))) == 1


async def test_a_backplane_that_is_down_at_the_start_is_told_and_leaves_nothing_running() -> None:
    house = House()
    house.queue.refuses = lambda method, lane: method == "work"
    with pytest.raises(VoxgateError, match="unavailable"):
        async with house.fanout.running():
            pytest.fail("it must not begin")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_job_of_ours_that_dies_is_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    await house.add()
    async with house.running():

        async def fail() -> int:
            raise ZeroDivisionError

        measured, house.queue.bytes_stored = house.queue.bytes_stored, fail  # type: ignore[method-assign]
        await elapse(MEASURE_SECONDS)
        assert "is begun again" in caplog.text
        house.queue.bytes_stored = measured  # type: ignore[method-assign]
        house.fanout._full = True
        await elapse(2 * MEASURE_SECONDS)
        assert house.fanout.summary()["full"] is False
