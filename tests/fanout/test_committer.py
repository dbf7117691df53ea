"""Group commit: everything is stored once, in order, in as few records as the bounds allow, or refused."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fanout.bench import an_item, items
from tests.fanout.manual_loop import ManualLoop, settle
from voxgate_core import VoxgateError
from voxgate_fanout.committer import MAX_WAITING, MAX_WAITING_BYTES, Committer
from voxgate_fanout.event import MAX_EVENT
from voxgate_fanout.records import MAX_ITEMS, decode_record

new_loop = ManualLoop


class Disk:
    """Stores records when the test lets it: ``write`` ends the oldest write that is under way."""

    def __init__(self) -> None:
        self.stored: list[list[str]] = []
        self.under_way: list[tuple[list[str], asyncio.Future[None]]] = []
        self.peak = 0

    async def put(self, record: bytes) -> None:
        ids = [item.id for item in decode_record(record)]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.under_way.append((ids, done))
        self.peak = max(self.peak, len(self.under_way))
        await done
        self.stored.append(ids)

    async def write(self, error: Exception | None = None, *, which: int = 0) -> None:
        _, done = self.under_way.pop(which)
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
        await settle()


async def test_what_waits_for_the_disk_goes_there_in_one_record() -> None:
    disk = Disk()
    committer = Committer(disk.put)
    first = committer.commit(an_item(1))
    await settle()
    rest = [committer.commit(item) for item in items(5, first=2)]
    await settle()
    assert [ids for ids, _ in disk.under_way] == [["evt_1"]]
    await disk.write()
    assert first.done()
    assert not any(done.done() for done in rest)
    await disk.write()
    await asyncio.gather(*rest)
    assert disk.stored == [["evt_1"], ["evt_2", "evt_3", "evt_4", "evt_5", "evt_6"]]
    await committer.idle()


async def test_with_one_write_there_is_never_another_beside_it() -> None:
    disk = Disk()
    committer = Committer(disk.put, most=1)
    done = [committer.commit(item) for item in items(20)]
    for _ in range(20):
        await settle()
        await disk.write()
    await asyncio.gather(*done)
    assert disk.peak == 1
    assert disk.stored == [[f"evt_{number}"] for number in range(1, 21)]


async def test_with_two_writes_a_slow_one_holds_up_only_its_own() -> None:
    disk = Disk()
    committer = Committer(disk.put, writes=2)
    slow = committer.commit(an_item(1))
    await settle()
    for number in range(2, 6):
        done = committer.commit(an_item(number))
        await settle()
        assert len(disk.under_way) == 2
        await disk.write(which=1)
        assert done.done()
    assert not slow.done()
    await disk.write()
    await slow
    assert disk.peak == 2
    await committer.idle()


async def test_a_record_holds_no_more_than_it_may() -> None:
    disk = Disk()
    committer = Committer(disk.put)
    done = [committer.commit(item) for item in items(2 * MAX_ITEMS + 1)]
    await settle()
    while disk.under_way:
        await disk.write()
    await asyncio.gather(*done)
    assert [len(ids) for ids in disk.stored] == [MAX_ITEMS, MAX_ITEMS, 1]


async def test_one_item_too_many_is_refused_and_those_before_it_are_stored() -> None:
    disk = Disk()
    committer = Committer(disk.put)
    done = [committer.commit(item) for item in items(MAX_WAITING)]
    with pytest.raises(VoxgateError, match="capacity_exceeded"):
        await committer.commit(an_item("more"))
    await settle()
    again = committer.commit(an_item("again"))  # the first record is on its way and waits no longer
    while disk.under_way:
        await disk.write()
    await asyncio.gather(*done, again)


async def test_one_byte_too_many_is_refused_likewise() -> None:
    disk = Disk()
    committer = Committer(disk.put)
    item = an_item(1, body=bytes(MAX_EVENT))
    count = MAX_WAITING_BYTES // item.size
    done = [committer.commit(item) for _ in range(count)]
    with pytest.raises(VoxgateError, match="capacity_exceeded"):
        await committer.commit(item)
    await settle()
    while disk.under_way:
        await disk.write()
    await asyncio.gather(*done)
    final = [committer.commit(item) for _ in range(count)]  # what is stored counts no more
    await settle()
    while disk.under_way:
        await disk.write()
    await asyncio.gather(*final)


async def test_with_one_write_those_behind_a_refused_record_are_refused_with_it() -> None:
    disk = Disk()
    committer = Committer(disk.put, most=1)
    done = [committer.commit(item) for item in items(3)]
    await settle()
    await disk.write(VoxgateError("unavailable", "the disk is gone"))
    for future in done:
        with pytest.raises(VoxgateError, match="unavailable: the disk is gone"):
            await future
    later = committer.commit(an_item(4))
    await settle()
    await disk.write()
    await later
    assert disk.stored == [["evt_4"]]


async def test_each_of_those_refused_has_an_error_of_its_own() -> None:
    disk = Disk()
    committer = Committer(disk.put)
    done = [committer.commit(item) for item in items(2)]
    await settle()
    await disk.write(VoxgateError("unavailable", retry_after=3.0))
    first, second = (future.exception() for future in done)
    assert first is not second
    assert isinstance(first, VoxgateError)
    assert first.retry_after == 3.0


async def test_with_more_writes_a_refused_record_takes_no_other_with_it() -> None:
    disk = Disk()
    committer = Committer(disk.put, writes=2, most=1)
    done = [committer.commit(item) for item in items(4)]
    await settle()
    await disk.write(VoxgateError("unavailable"))
    while disk.under_way:
        await disk.write()
    results = await asyncio.gather(*done, return_exceptions=True)
    assert [isinstance(result, VoxgateError) for result in results] == [True, False, False, False]


async def test_a_fault_nobody_foresaw_refuses_the_record_and_not_those_after_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk()
    committer = Committer(disk.put, writes=2, most=1)
    done = [committer.commit(item) for item in items(3)]
    await settle()
    await disk.write(ZeroDivisionError())
    with pytest.raises(VoxgateError, match="unavailable"):
        await done[0]
    while disk.under_way:
        await disk.write()
    await asyncio.gather(*done[1:])
    assert "not foreseen" in caplog.text


async def test_who_waits_no_longer_is_stored_all_the_same() -> None:
    disk = Disk()
    committer = Committer(disk.put)
    gone, other = committer.commit(an_item(1)), committer.commit(an_item(2))
    gone.cancel()
    await settle()
    await disk.write()
    await other
    assert disk.stored == [["evt_1", "evt_2"]]
    failing = committer.commit(an_item(3))
    await settle()
    failing.cancel()
    await disk.write(VoxgateError("unavailable"))
    await committer.idle()


async def test_when_the_process_ends_nobody_waits_for_ever() -> None:
    disk = Disk()
    committer = Committer(disk.put, most=1)
    done = [committer.commit(item) for item in items(3)]
    await settle()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    for future in done:
        with pytest.raises(VoxgateError, match="unavailable: the gateway is going down"):
            await future
    await committer.idle()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.lists(st.sampled_from(["commit", "commit", "write", "fail", "turn"]), max_size=60),
)
def test_every_item_is_stored_once_or_refused_and_with_one_write_in_order(
    writes: int, most: int, steps: list[str]
) -> None:
    async def act() -> None:
        disk = Disk()
        committer = Committer(disk.put, writes=writes, most=most)
        done: dict[str, asyncio.Future[None]] = {}
        for step in steps:
            if step == "commit":
                item = an_item(len(done))
                done[item.id] = committer.commit(item)
            elif step == "turn":
                await settle()
            elif disk.under_way:
                await disk.write(VoxgateError("unavailable") if step == "fail" else None)
        await settle()
        while disk.under_way:
            await disk.write()
        await committer.idle()
        stored = [event for record in disk.stored for event in record]
        assert len(stored) == len(set(stored))
        assert set(stored) == {event for event, future in done.items() if future.exception() is None}
        assert disk.peak <= writes
        assert all(1 <= len(record) <= most for record in disk.stored)
        if writes == 1:
            assert stored == [event for event in done if event in set(stored)]

    with asyncio.Runner(loop_factory=ManualLoop) as runner:
        runner.run(act())


async def test_an_item_that_comes_just_as_the_writer_has_finished_is_written_too() -> None:
    stored: list[bytes] = []

    async def put(record: bytes) -> None:
        stored.append(record)

    committer = Committer(put)
    first = committer.commit(an_item("e1"))
    late: list[asyncio.Future[None]] = []
    first.add_done_callback(lambda _: late.append(committer.commit(an_item("e2"))))
    await first
    async with asyncio.timeout(20):
        await late[0]
        await committer.idle()
    assert len(stored) == 2
