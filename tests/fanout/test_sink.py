"""The sink never waits and never raises; what it took is stored in its order, or counted as dropped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.fanout.bench import an_event
from tests.fanout.manual_loop import ManualLoop, elapse, settle
from voxgate_core import Event, EventSink, VoxgateError
from voxgate_fanout.sink import AT_ONCE, REPORT_EVERY, RETRY_SECONDS, BufferedSink

new_loop = ManualLoop


class Shop:
    """Stores events, or refuses those that ``refuses`` names."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.refuses: dict[str, Exception] = {}
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.inside = 0
        self.peak = 0

    async def accept(self, event: Event) -> None:
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        await self.is_open.wait()
        await asyncio.sleep(0)
        self.inside -= 1
        if event.id in self.refuses or "*" in self.refuses:
            raise self.refuses.get(event.id) or self.refuses["*"]
        self.stored.append(event.id)


@asynccontextmanager
async def running(sink: BufferedSink) -> AsyncIterator[None]:
    task = asyncio.create_task(sink.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


def ids(count: int) -> list[str]:
    return [f"evt_{number}" for number in range(count)]


async def test_it_is_an_event_sink_and_what_is_published_is_stored_in_its_order() -> None:
    shop = Shop()
    sink: EventSink
    sink = buffered = BufferedSink(shop.accept)
    async with running(buffered):
        for number in range(3 * AT_ONCE):
            sink.publish(an_event(number))
        await buffered.flushed()
    assert shop.stored == ids(3 * AT_ONCE)
    assert shop.peak == AT_ONCE
    assert len(buffered) == 0


async def test_what_is_published_before_it_runs_waits_for_it() -> None:
    shop = Shop()
    sink = BufferedSink(shop.accept)
    sink.publish(an_event(0))
    await settle()
    assert (len(sink), shop.stored) == (1, [])
    async with running(sink):
        await sink.flushed()
    assert shop.stored == ["evt_0"]


async def test_it_is_flushed_before_anything_is_published_and_not_while_anything_is_stored() -> None:
    shop = Shop()
    sink = BufferedSink(shop.accept)
    await sink.flushed()
    shop.is_open.clear()
    async with running(sink):
        sink.publish(an_event(0))
        flushed = asyncio.create_task(sink.flushed())
        await settle()
        assert not flushed.done()
        shop.is_open.set()
        await flushed


async def test_one_event_too_many_is_dropped_and_counted() -> None:
    shop = Shop()
    sink = BufferedSink(shop.accept, most=5)
    for number in range(8):
        sink.publish(an_event(number))
    assert (sink.dropped, len(sink)) == (3, 5)
    async with running(sink):
        await sink.flushed()
        sink.publish(an_event("later"))
        await sink.flushed()
    assert shop.stored == [*ids(5), "evt_later"]


async def test_dropped_events_are_reported_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    sink = BufferedSink(Shop().accept, most=0)
    for number in range(2 * REPORT_EVERY + 1):
        sink.publish(an_event(number))
    assert sink.dropped == 2 * REPORT_EVERY + 1
    assert len(caplog.records) == 3


@pytest.mark.parametrize("code", ["unavailable", "capacity_exceeded"])
async def test_while_the_store_refuses_events_wait_and_keep_their_order(code: str) -> None:
    shop = Shop()
    sink = BufferedSink(shop.accept)
    shop.refuses["*"] = VoxgateError(code)
    async with running(sink):
        for number in range(2 * AT_ONCE):
            sink.publish(an_event(number))
        await elapse(10 * RETRY_SECONDS)
        assert (shop.stored, len(sink), sink.dropped) == ([], 2 * AT_ONCE, 0)
        del shop.refuses["*"]
        await elapse(RETRY_SECONDS)
        await sink.flushed()
    assert shop.stored == ids(2 * AT_ONCE)


async def test_while_the_store_refuses_it_asks_again_no_faster_than_its_pause() -> None:
    shop, asked = Shop(), list[float]()
    loop = asyncio.get_running_loop()

    async def accept(event: Event) -> None:
        asked.append(loop.time())
        await shop.accept(event)

    shop.refuses["*"] = VoxgateError("unavailable")
    sink = BufferedSink(accept)
    async with running(sink):
        sink.publish(an_event(0))
        await elapse(5 * RETRY_SECONDS)
    assert asked == [n * RETRY_SECONDS for n in range(6)]


async def test_those_that_were_refused_come_again_before_those_that_came_later() -> None:
    shop = Shop()
    sink = BufferedSink(shop.accept)
    shop.refuses = {"evt_1": VoxgateError("unavailable"), "evt_3": VoxgateError("unavailable")}
    async with running(sink):
        for number in range(5):
            sink.publish(an_event(number))
        await settle()
        shop.refuses.clear()
        sink.publish(an_event(5))
        await elapse(RETRY_SECONDS)
        await sink.flushed()
    assert shop.stored == ["evt_0", "evt_2", "evt_4", "evt_1", "evt_3", "evt_5"]


@pytest.mark.parametrize("error", [VoxgateError("invalid_input"), VoxgateError("body_too_large"), ZeroDivisionError()])
async def test_what_can_never_be_stored_is_dropped_and_holds_up_nobody(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    sink = BufferedSink(shop.accept)
    shop.refuses["evt_1"] = error
    async with running(sink):
        for number in range(3):
            sink.publish(an_event(number))
        await sink.flushed()
    assert shop.stored == ["evt_0", "evt_2"]
    assert sink.dropped == 1
    assert "can't be stored" in caplog.text


async def test_what_was_not_stored_when_it_is_cancelled_is_still_there() -> None:
    shop = Shop()
    shop.is_open.clear()
    sink = BufferedSink(shop.accept)
    async with running(sink):
        sink.publish(an_event(0))
        await settle()
    assert len(sink) == 1
    shop.is_open.set()
    async with running(sink):
        await sink.flushed()
    assert shop.stored == ["evt_0"]


async def test_events_that_come_while_others_are_refused_stay_within_the_bound() -> None:
    shop = Shop()
    shop.refuses["*"] = VoxgateError("unavailable")
    sink = BufferedSink(shop.accept, most=4)
    async with running(sink):
        for number in range(40):
            sink.publish(an_event(number))
            await elapse(RETRY_SECONDS / 2)
            assert len(sink) <= 4
    assert sink.dropped == 36
