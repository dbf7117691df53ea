"""Parcels leave for their lane in their order, in few writes, and are settled once they are stored."""

import asyncio
from collections.abc import Coroutine, Sequence

import pytest

from tests.fanout.bench import an_item, items
from tests.fanout.manual_loop import ManualLoop, elapse, settle
from voxgate_fanout.parcels import Parcel, Receipt
from voxgate_fanout.records import MAX_ITEMS, ROOM, Item
from voxgate_fanout.spillway import LINGER, Spillway

new_loop = ManualLoop


class River:
    """A spillway onto a disk that stores when the test lets it."""

    def __init__(self, linger: float = 0.0) -> None:
        self.stored: list[list[str]] = []
        self.under_way: list[asyncio.Future[None]] = []
        self.started: list[asyncio.Task[None]] = []
        self.spillway = Spillway(self._spill, self._start, linger=linger)

    def put(self, *items: Item) -> Receipt:
        receipt = Receipt(len(items))
        self.spillway.put([Parcel(item, receipt, 0.0, kept=False) for item in items])
        return receipt

    async def write(self, error: Exception | None = None) -> None:
        await settle()
        done = self.under_way.pop(0)
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
        await settle()

    async def _spill(self, items: Sequence[Item]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.under_way.append(done)
        await done
        self.stored.append([item.id for item in items])

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self.started.append(asyncio.get_running_loop().create_task(work))


async def test_what_comes_together_is_stored_together_and_what_comes_meanwhile_afterwards() -> None:
    river = River()
    first = [river.put(item) for item in items(3)]
    await settle()
    second = river.put(*items(2, first=4))
    assert len(river.spillway) == 5
    await river.write()
    assert all(receipt.settled().done() for receipt in first)
    assert not second.settled().done()
    assert len(river.spillway) == 2
    await river.write()
    await second.settled()
    assert river.stored == [["evt_1", "evt_2", "evt_3"], ["evt_4", "evt_5"]]
    assert len(river.started) == 1


async def test_a_write_is_no_larger_than_a_record() -> None:
    river = River()
    receipt = river.put(*items(2 * MAX_ITEMS), *(an_item(f"large{n}", body=bytes(ROOM)) for n in range(2)))
    while not receipt.settled().done():
        await river.write()
    assert [len(ids) for ids in river.stored] == [MAX_ITEMS, MAX_ITEMS, 1, 1]


async def test_it_rests_when_everything_is_stored_and_begins_again() -> None:
    river = River()
    for number in range(3):
        receipt = river.put(an_item(number))
        await river.write()
        await receipt.settled()
        assert all(task.done() for task in river.started)
    river.put()
    assert len(river.started) == 3


async def test_what_can_not_be_stored_has_its_record_worked_again_and_the_others_go_on() -> None:
    river = River()
    bad = river.put(*items(2))
    await settle()
    good = river.put(an_item(3))
    await river.write(ZeroDivisionError("?"))
    with pytest.raises(ZeroDivisionError):
        await bad.settled()
    await river.write()
    await good.settled()
    assert river.stored == [["evt_3"]]
    assert len(river.spillway) == 0


async def test_one_laggard_writes_a_few_times_a_second_however_much_comes() -> None:
    river = River(LINGER)
    for number in range(1, 11):
        river.put(an_item(number))
        await elapse(LINGER / 10)
        if river.under_way:
            await river.write()
    assert river.stored == [["evt_1"]]
    await elapse(LINGER)
    await river.write()
    assert river.stored == [["evt_1"], [f"evt_{number}" for number in range(2, 11)]]
    await elapse(LINGER)
    assert all(task.done() for task in river.started)


async def test_at_a_stop_nothing_lingers() -> None:
    river = River(LINGER)
    river.put(an_item(1))
    await river.write()
    last = river.put(an_item(2))
    river.spillway.hurry()
    await river.write()
    assert last.settled().done()
    await settle()
    assert all(task.done() for task in river.started)
