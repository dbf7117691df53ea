"""Lanes of targets: opened once, paced, picked up where others left them, let go with their target."""

import asyncio

import pytest

from tests.fanout.bench import a_target
from tests.fanout.fake_queue import FakeQueue
from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle
from voxgate_core import Claim, MemoryKeyValue, VoxgateError
from voxgate_fanout.lane_workers import ACK_SECONDS, LANE_RECORDS, LaneWorkers
from voxgate_fanout.lanes import EVENTS, PARTITIONS, lane_of, lanes_of
from voxgate_fanout.leases import LEASE_SECONDS
from voxgate_fanout.outbox import Pace
from voxgate_fanout.registry import Registry
from voxgate_fanout.targets import Target

new_loop = ManualLoop


class Yard:
    """Workers on a fake queue; jobs stay in hand until ``done`` is set."""

    def __init__(self, queue: FakeQueue | None = None) -> None:
        self.queue = queue or FakeQueue(manual_clock())
        self.registry = Registry(MemoryKeyValue(manual_clock()), manual_clock(), prod=False)
        self.pace = Pace.FULL
        self.worked: list[tuple[str, str]] = []
        self.done = asyncio.Event()
        self.workers = LaneWorkers(
            self.queue, self.registry, plain=self._plain, ordered=self._ordered, pace_of=lambda _: self.pace
        )

    async def add(self, name: str = "crm") -> Target:
        target = a_target(name, order_by="subject")
        await self.registry.add(target)
        return target

    async def _plain(self, claim: Claim) -> None:
        self.worked.append(("plain", claim.lane))
        await self.done.wait()
        await claim.ack()

    async def _ordered(self, claim: Claim) -> None:
        self.worked.append(("ordered", claim.lane))
        await self.done.wait()
        await claim.ack()

    async def end(self) -> None:
        self.done.set()
        await self.workers.stop()
        assert self.queue.workers == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_lane_is_opened_once_however_many_want_it() -> None:
    yard, opened = Yard(), list[str]()
    target = await yard.add()
    lanes = lanes_of(target)

    def note(method: str, lane: str) -> bool:
        if method == "open_lane":
            opened.append(lane)
        return False

    yard.queue.refuses = note
    await asyncio.gather(*(yard.workers.open(target, lane) for lane in lanes for _ in range(3)))
    await asyncio.gather(*(yard.workers.open(target, lane) for lane in lanes))
    assert sorted(opened) == sorted(lanes)
    assert yard.queue.store.opened[lane_of(target.id)] == (16 * LANE_RECORDS, LEASE_SECONDS)
    assert {yard.queue.store.opened[lane] for lane in lanes[1:]} == {(1, LEASE_SECONDS)}
    await yard.end()


async def test_each_kind_of_lane_has_its_handler_and_its_number_in_hand() -> None:
    yard = Yard()
    target = await yard.add()
    plain, ordered = lanes_of(target)[:2]
    for lane in (plain, ordered):
        await yard.workers.open(target, lane)
        for _ in range(10):
            await yard.queue.put(lane, b"job")
    await settle()
    assert yard.worked == [("plain", plain)] * LANE_RECORDS + [("ordered", ordered)]
    await yard.end()


@pytest.mark.parametrize(("pace", "plain", "ordered"), [(Pace.STOPPED, 0, 0), (Pace.PROBING, 1, 1), (Pace.FULL, 4, 1)])
async def test_lanes_are_taken_from_as_fast_as_the_pace_says(pace: Pace, plain: int, ordered: int) -> None:
    yard = Yard()
    target = await yard.add()
    for lane in lanes_of(target):
        await yard.workers.open(target, lane)
    yard.workers.pace(target, pace)
    slots = [yard.queue.workers[lane].slots for lane in lanes_of(target)]
    assert slots == [plain] + [ordered] * PARTITIONS
    await yard.end()


async def test_a_lane_begins_at_the_pace_of_its_target() -> None:
    yard = Yard()
    target = await yard.add()
    yard.pace = Pace.PROBING
    await yard.workers.open(target, lane_of(target.id))
    assert yard.queue.workers[lane_of(target.id)].slots == 1
    await yard.end()


async def test_a_pace_that_changes_while_a_lane_is_opened_is_not_missed() -> None:
    yard = Yard()
    target = await yard.add()
    yard.pace = Pace.STOPPED
    opening = asyncio.create_task(yard.workers.open(target, lane_of(target.id)))
    await asyncio.sleep(0)  # it is under way now
    yard.pace = Pace.FULL
    yard.workers.pace(target, Pace.FULL)
    await opening
    assert yard.queue.workers[lane_of(target.id)].slots == LANE_RECORDS
    await yard.end()


async def test_a_refused_opening_is_told_to_everybody_and_may_be_tried_again() -> None:
    yard = Yard()
    target = await yard.add()
    lane = lane_of(target.id)
    for method in ("open_lane", "work"):
        yard.queue.refuses = lambda asked, lane, method=method: asked == method  # type: ignore[misc]
        results = await asyncio.gather(*(yard.workers.open(target, lane) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(result, VoxgateError) for result in results)
    yard.queue.refuses = lambda asked, lane: False
    await yard.workers.open(target, lane)
    assert lane in yard.queue.workers
    await yard.end()


async def test_who_stops_waiting_for_a_lane_does_not_stop_its_opening() -> None:
    yard = Yard()
    target = await yard.add()
    waiting = [asyncio.create_task(yard.workers.open(target, lane_of(target.id))) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await waiting[1]
    assert waiting[0].cancelled()
    await yard.end()


# -- what others left ------------------------------------------------------------------------------------------------


async def test_lanes_that_others_opened_are_worked_and_those_of_nobody_left_alone() -> None:
    yard = Yard()
    target = await yard.add()
    opened = frozenset({EVENTS, lane_of(target.id), "t-file-elsewhere", "something-else"})
    await yard.workers.adopt(opened | {lanes_of(target)[1]}, opened)
    assert set(yard.queue.workers) == {lane_of(target.id), lanes_of(target)[1]}
    assert set(yard.queue.store.opened) == {lanes_of(target)[1]}, "those that are open are not opened again"
    await yard.workers.adopt(opened, opened)
    await yard.end()


async def test_looking_through_the_lanes_and_opening_one_do_not_get_in_each_others_way() -> None:
    yard = Yard()
    target = await yard.add()
    lane = lane_of(target.id)
    await asyncio.gather(
        yard.workers.adopt([lane], [lane]), yard.workers.open(target, lane), yard.workers.adopt([lane], [])
    )
    assert list(yard.queue.workers) == [lane]
    await yard.end()


async def test_the_lane_of_a_target_that_was_removed_by_somebody_else_is_closed() -> None:
    yard = Yard()
    orphan = lane_of("tgt_000000000000")
    await yard.queue.open_lane(orphan, in_hand=1, lease=1.0)
    await yard.queue.put(orphan, b"job")
    await yard.workers.adopt([orphan], [orphan])
    assert (yard.queue.store.opened, yard.queue.store.jobs) == ({}, {})
    await yard.end()


async def test_the_lane_of_a_target_nobody_here_has_heard_of_yet_is_worked() -> None:
    yard, elsewhere = Yard(), Yard()
    elsewhere.registry._store = yard.registry._store
    target = await elsewhere.add()
    await yard.workers.adopt([lane_of(target.id)], [])
    assert lane_of(target.id) in yard.queue.workers
    await yard.end()


# -- removed targets, and the end ------------------------------------------------------------------------------------


async def test_with_its_target_a_lane_is_let_go_and_what_is_in_hand_may_end() -> None:
    yard = Yard()
    target, other = await yard.add(), await yard.add("other")
    for owner in (target, other):
        await yard.workers.open(owner, lane_of(owner.id))
    await yard.queue.put(lane_of(target.id), b"job")
    await settle()
    await yard.registry.remove("crm")
    yard.workers.retire(target.id)
    await settle()
    yard.done.set()
    await elapse(ACK_SECONDS)
    assert list(yard.queue.workers) == [lane_of(other.id)]
    assert yard.queue.acked == [b"job"]
    await yard.workers.open(target, lane_of(target.id))
    assert list(yard.queue.workers) == [lane_of(other.id)]
    await yard.end()


async def test_a_target_removed_while_its_lane_is_opened_leaves_no_worker() -> None:
    yard = Yard()
    target = await yard.add()
    opening = asyncio.create_task(yard.workers.open(target, lane_of(target.id)))
    await asyncio.sleep(0)
    await yard.registry.remove("crm")
    yard.workers.retire(target.id)
    await opening
    await settle()
    assert yard.queue.workers == {}
    await yard.end()


async def test_closing_removes_every_lane_of_a_target_and_no_other() -> None:
    yard = Yard()
    target, other = await yard.add(), await yard.add("other")
    for lane in (*lanes_of(target)[:3], lane_of(other.id)):
        await yard.workers.open(target if lane != lane_of(other.id) else other, lane)
        await yard.queue.put(lane, b"job")
    yard.done.set()
    await yard.workers.close(target)
    assert set(yard.queue.store.opened) == {lane_of(other.id)}
    await yard.end()


async def test_at_the_end_jobs_are_handed_back_and_lanes_that_are_opened_then_are_not_worked() -> None:
    yard = Yard()
    target = await yard.add()
    plain, ordered = lanes_of(target)[:2]
    await yard.workers.open(target, plain)
    await yard.queue.put(plain, b"job")
    await settle()
    yard.workers.pause()
    await yard.workers.open(target, ordered)
    assert set(yard.queue.store.opened) == {plain, ordered}
    assert set(yard.queue.workers) == {plain}
    yard.workers.pace(target, Pace.FULL)
    assert yard.queue.workers[plain].slots == 0
    stopping = asyncio.create_task(yard.workers.stop())
    await elapse(ACK_SECONDS)
    await stopping
    assert yard.queue.handed_back == [(plain, 0.0)]
    await yard.end()


async def test_an_opening_that_is_under_way_at_the_end_is_given_up() -> None:
    yard = Yard()
    target = await yard.add()

    async def hang(lane: str, *, in_hand: int, lease: float) -> None:
        await asyncio.get_running_loop().create_future()

    yard.queue.open_lane = hang  # type: ignore[method-assign]
    opening = asyncio.create_task(yard.workers.open(target, lane_of(target.id)))
    await settle()
    await yard.end()
    assert opening.cancelled()


async def test_a_worker_that_is_made_while_the_end_comes_is_stopped() -> None:
    yard = Yard()
    target = await yard.add()
    opening = asyncio.create_task(yard.workers.open(target, lane_of(target.id)))
    for _ in range(3):
        await asyncio.sleep(0)  # the lane is open, and its worker is being made
    yard.workers.pause()
    await opening
    await settle()
    assert yard.queue.workers == {}
    await yard.end()


async def test_a_lane_that_is_opened_anew_waits_for_its_old_worker_to_stop() -> None:
    yard = Yard()
    target = await yard.add()
    lane = lane_of(target.id)
    await yard.workers.open(target, lane)
    await yard.queue.put(lane, b"job")
    await settle()
    yard.workers.retire(target.id)
    opening = asyncio.create_task(yard.workers.open(target, lane))
    await settle()
    assert not opening.done()
    yard.done.set()
    await opening
    assert yard.queue.workers[lane].slots == LANE_RECORDS
    await yard.end()


async def test_a_worker_that_can_not_be_stopped_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    yard = Yard()
    targets = [await yard.add(name) for name in ("a", "b")]
    for target in targets:
        await yard.workers.open(target, lane_of(target.id))

    async def stop(seconds: float = 0.0) -> None:
        raise ZeroDivisionError

    stuck = yard.queue.workers.pop(lane_of(targets[0].id))
    stuck.stop = stop  # type: ignore[method-assign]
    await yard.end()
    assert "could not be stopped" in caplog.text
