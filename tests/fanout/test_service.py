"""Accepting events: durable before they are accepted, once for each key, in order where a target wants that."""

import asyncio
import json

import msgspec
import pytest

from tests.fanout.bench import House, a_target, an_event, url_of
from tests.fanout.manual_loop import ManualLoop, elapse, settle
from voxgate_core import DeadQuery, VoxgateError
from voxgate_fanout.event import MAX_EVENT
from voxgate_fanout.lanes import EVENTS, ordered_lane, target_of
from voxgate_fanout.service import MEASURE_SECONDS, RETRY_AFTER, Accepted
from voxgate_fanout.sink import RETRY_SECONDS
from voxgate_fanout.undelivered import MAX_BACKLOG

new_loop = ManualLoop

BODY = json.dumps({"type": "order.paid", "data": {"n": 1}}).encode()


# -- accepting -------------------------------------------------------------------------------------------------------


async def test_an_accepted_event_is_durable_and_delivered_under_its_id() -> None:
    house = House()
    await house.add("a")
    await house.add("b")
    async with house.running():
        assert await house.fanout.accept(an_event(1)) == Accepted("evt_1", ("a", "b"))
        assert house.stored(EVENTS) == ["evt_1"]
        await settle()
        assert sorted(house.sender.delivered) == [(url_of("a"), "evt_1"), (url_of("b"), "evt_1")]


async def test_an_event_that_nobody_wants_is_accepted_and_not_stored() -> None:
    house = House()
    target = await house.add("off")
    await house.fanout.registry.disable(target.id, "why")
    async with house.running():
        assert await house.fanout.accept(an_event(1)) == Accepted("evt_1", ())
    assert house.queue.puts == []


async def test_what_the_store_refuses_is_refused_and_not_delivered() -> None:
    house = House()
    await house.add()
    async with house.running():
        house.queue.refuses = lambda method, lane: method == "put"
        with pytest.raises(VoxgateError, match="unavailable"):
            await house.fanout.accept(an_event(1))
        house.queue.refuses = lambda method, lane: False
        await house.fanout.accept(an_event(2))
        await settle()
        assert house.sender.delivered == [(url_of("crm"), "evt_2")]


@pytest.mark.parametrize("event_id", ["", "a b", "a.b", "x" * 65, "é", "a\n"])
async def test_an_event_whose_id_can_not_be_signed_is_refused(event_id: str) -> None:
    house = House()
    await house.add()
    async with house.running():
        event = an_event(1)
        object.__setattr__(event, "id", event_id)
        with pytest.raises(VoxgateError, match="invalid_input"):
            await house.fanout.accept(event)


async def test_an_event_that_is_too_large_or_no_json_is_refused() -> None:
    house = House()
    await house.add()
    for data, code in (({"x": "x" * MAX_EVENT}, "body_too_large"), ({"x": object()}, "invalid_input")):
        event = an_event(1)
        object.__setattr__(event, "data", data)
        with pytest.raises(VoxgateError, match=code):
            await house.fanout.accept(event)
    assert house.queue.puts == []


async def test_many_at_once_are_stored_in_few_writes() -> None:
    house = House()
    await house.add()
    async with house.running():
        await asyncio.gather(*(house.fanout.accept(an_event(n)) for n in range(200)))
        assert sorted(house.stored(EVENTS)) == sorted(f"evt_{n}" for n in range(200))
        assert len(house.queue.puts) == 1
        await settle()
        assert len(house.sender.delivered) == 200


async def test_when_too_much_is_stored_events_are_refused_with_the_time_to_come_again() -> None:
    house = House(max_stored=1000)
    target = await house.add(concurrency=1)
    async with house.running():
        house.sender.hang(target.url)
        while sum(len(body) for _, body, _ in house.queue.puts) < 1000:
            await house.fanout.accept(an_event(len(house.queue.puts)))
        await elapse(MEASURE_SECONDS)
        with pytest.raises(VoxgateError, match="capacity_exceeded") as refused:
            await house.fanout.accept(an_event("more"))
        assert refused.value.retry_after == RETRY_AFTER
        house.queue.refuses = lambda method, lane: method == "bytes_stored"
        await elapse(MEASURE_SECONDS)
        assert house.fanout.summary()["full"] is True, "what is not known now is what it was"
        house.queue.refuses = lambda method, lane: False
        house.sender.release(target.url)
        await elapse(60.0)
        await house.fanout.accept(an_event("later"))


# -- the same request twice ------------------------------------------------------------------------------------------


async def test_without_a_key_two_requests_are_two_events() -> None:
    house = House()
    await house.add()
    async with house.running():
        first, second = [await house.fanout.post(BODY, caller="shop", key=None) for _ in range(2)]
        assert first.event_id != second.event_id
        assert not first.replayed


async def test_with_a_key_the_second_request_gets_the_answer_of_the_first() -> None:
    house = House()
    await house.add()
    async with house.running():
        first = await house.fanout.post(BODY, caller="shop", key="k1")
        second = await house.fanout.post(BODY, caller="shop", key="k1")
        assert second == Accepted(first.event_id, first.targets, replayed=True)
        other = await house.fanout.post(BODY, caller="someone else", key="k1")
        assert other.event_id != first.event_id
        await settle()
        assert len(house.sender.sent) == 2


async def test_the_same_key_with_another_body_is_a_conflict() -> None:
    house = House()
    await house.add()
    async with house.running():
        await house.fanout.post(BODY, caller="shop", key="k1")
        with pytest.raises(VoxgateError, match="conflict"):
            await house.fanout.post(BODY + b" ", caller="shop", key="k1")


@pytest.mark.parametrize("order_by", [None, "type"])
async def test_two_requests_with_one_key_at_the_same_moment_are_one_event(order_by: str | None) -> None:
    house = House()
    await house.add(order_by=order_by)
    async with house.running():
        answers = await asyncio.gather(*(house.fanout.post(BODY, caller="shop", key="k1") for _ in range(5)))
        assert len({answer.event_id for answer in answers}) == 1
        await settle()
        assert len(house.sender.sent) == 1


async def test_a_request_that_was_refused_may_come_again_and_is_the_same_event() -> None:
    house = House()
    await house.add("a")
    ordered = await house.add("b", order_by="type")
    async with house.running():
        house.queue.refuses = lambda method, lane: method == "put" and target_of(lane) == ordered.id
        with pytest.raises(VoxgateError, match="unavailable"):
            await house.fanout.post(BODY, caller="shop", key="k1")
        house.queue.refuses = lambda method, lane: False
        await settle()
        (half,) = house.sender.delivered
        accepted = await house.fanout.post(BODY, caller="shop", key="k1")
        assert not accepted.replayed
        await settle()
        assert half == (url_of("a"), accepted.event_id)
        assert sorted(house.sender.delivered) == [half, (url_of("b"), accepted.event_id)]


# -- order -----------------------------------------------------------------------------------------------------------


async def test_events_for_an_ordered_target_keep_the_order_in_which_they_were_accepted() -> None:
    house = House()
    target = await house.add("ordered", order_by="subject")
    await house.add("plain")
    async with house.running():
        events = [an_event(n, subject="s") for n in range(50)]
        # The lane is opened while they come, and half of them go to another target too.
        await asyncio.gather(*(house.fanout.accept(event) for event in events))
        assert house.stored(ordered_lane(target, events[0])) == [event.id for event in events]
        await settle()
        assert house.sender.ids(target.url) == [event.id for event in events]
        assert len(house.sender.ids(url_of("plain"))) == 50


async def test_an_event_for_several_ordered_targets_does_not_lose_its_place_to_one_for_fewer() -> None:
    house = House()
    first = await house.add("first", order_by="subject")
    only = msgspec.structs.replace(a_target("only", order_by="subject"), events=("rare",))
    await house.fanout.registry.add(only)
    async with house.running():
        for spell in range(2):
            events = [an_event(f"{spell}_{n}", subject="s", type="rare" if n % 3 == 0 else "often") for n in range(12)]
            await asyncio.gather(*(house.fanout.accept(event) for event in events))
            await settle()
            assert house.sender.ids(first.url)[12 * spell :] == [event.id for event in events]


async def test_ordered_events_that_wait_behind_a_refused_one_are_refused_with_it() -> None:
    house = House()
    target = await house.add("ordered", order_by="subject")
    async with house.running():
        house.queue.refuses = lambda method, lane: method == "put" and not house.queue.puts
        accepting = [house.fanout.accept(an_event(n, subject="s")) for n in range(3)]
        results = await asyncio.gather(*accepting, return_exceptions=True)
        assert all(isinstance(result, VoxgateError) for result in results)
        house.queue.refuses = lambda method, lane: False
        await asyncio.gather(*(house.fanout.accept(an_event(n, subject="s")) for n in range(3)))
        await settle()
        assert house.sender.ids(target.url) == ["evt_0", "evt_1", "evt_2"]


async def test_published_events_keep_their_order_though_the_store_refuses_them_for_a_while() -> None:
    house = House()
    target = await house.add("ordered", order_by="subject")
    async with house.running():
        refusals = iter([True, False, True, True] + [False] * 1000)
        house.queue.refuses = lambda method, lane: method == "put" and next(refusals)
        for number in range(30):
            house.fanout.publish(an_event(number, subject="s"))
        await elapse(5 * RETRY_SECONDS)
        assert house.sender.ids(target.url) == [f"evt_{n}" for n in range(30)]


async def test_what_one_lane_refuses_is_stored_in_the_others_once() -> None:
    house = House()
    plain, ordered = await house.add("plain"), await house.add("ordered", order_by="subject")
    async with house.running():
        lane = ordered_lane(ordered, an_event(0, subject="s"))
        house.queue.refuses = lambda method, into: method == "put" and into == lane
        house.fanout.publish(an_event(0, subject="s"))
        await elapse(10 * RETRY_SECONDS)
        assert (house.sender.ids(plain.url), house.sender.ids(ordered.url)) == (["evt_0"], [])
        house.queue.refuses = lambda method, into: False
        await elapse(RETRY_SECONDS)
        assert (house.sender.ids(plain.url), house.sender.ids(ordered.url)) == (["evt_0"], ["evt_0"])
        assert house.fanout._partly == {}


async def test_what_would_come_on_top_of_a_full_ordered_lane_becomes_a_dead_letter() -> None:
    house = House()
    target = await house.add("ordered", order_by="subject")
    async with house.running():
        lane = ordered_lane(target, an_event(1, subject="s"))
        house.fanout.dispatcher._undelivered.measure({lane: MAX_BACKLOG})
        await house.fanout.accept(an_event(1, subject="s"))
        (letter,) = await house.fanout.dead(DeadQuery(lane=target.id))
        assert (letter.id, letter.attempts) == ("evt_1", 0)
        house.queue.refuses = lambda method, lane: method == "bury"
        with pytest.raises(VoxgateError, match="unavailable"):
            await house.fanout.accept(an_event(2, subject="s"))
    assert house.stored(lane) == []


async def test_two_callers_may_choose_one_id_and_neither_loses_an_event() -> None:
    house = House()
    await house.add()
    body = json.dumps({"type": "order.paid", "id": "order-17", "data": {}}).encode()
    async with house.running():
        for caller, key in (("shop", "k1"), ("other-shop", "k1"), ("shop", "k2")):
            await house.fanout.post(body, caller=caller, key=key)
        await settle()
        assert house.sender.delivered == [(url_of("crm"), "order-17")] * 3
