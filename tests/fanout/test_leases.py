"""Claims in hand are extended for as long as they are held, whatever becomes of one of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fanout.fake_queue import FakeClaim, FakeQueue
from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle
from voxgate_core import Claim, VoxgateError
from voxgate_fanout.leases import EXTEND_SECONDS, LEASE_SECONDS, Leases

new_loop = ManualLoop


class Raising:
    """A claim whose extension fails."""

    lane = "t-1"
    body = b""
    deliveries = 1

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def ack(self) -> None: ...

    async def hand_back(self, delay: float = 0.0) -> None: ...

    async def extend(self) -> None:
        raise self._error


@asynccontextmanager
async def running(leases: Leases) -> AsyncIterator[None]:
    task = asyncio.create_task(leases.run())
    await settle()
    yield
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_job_stays_its_holders_for_as_long_as_it_is_held_and_no_longer() -> None:
    queue, leases, given = FakeQueue(manual_clock()), Leases(), list[Claim]()
    forever = asyncio.Event()

    async def work(claim: Claim) -> None:
        given.append(claim)
        await forever.wait()

    await queue.open_lane("t-1", in_hand=1, lease=LEASE_SECONDS)
    worker = await queue.work("t-1", work, slots=2)
    async with running(leases):
        await queue.put("t-1", b"job")
        await settle()
        leases.hold(given[0])
        await elapse(10 * LEASE_SECONDS)
        assert len(given) == 1
        leases.let_go(given[0])
        assert len(leases) == 0
        await elapse(LEASE_SECONDS)
        assert len(given) == 2
        assert isinstance(given[0], FakeClaim)
        assert given[0].extended == 10 * LEASE_SECONDS // EXTEND_SECONDS
    await worker.stop(0.0)


async def test_one_that_fails_costs_the_others_nothing() -> None:
    leases, seen = Leases(), list[float]()

    class Noting(Raising):
        async def extend(self) -> None:
            seen.append(asyncio.get_running_loop().time())

    for claim in (Raising(VoxgateError("unavailable")), Raising(ValueError("?")), Noting(ValueError())):
        leases.hold(claim)
    async with running(leases):
        await elapse(3 * EXTEND_SECONDS)
    assert seen == [EXTEND_SECONDS, 2 * EXTEND_SECONDS, 3 * EXTEND_SECONDS]


async def test_three_extensions_may_get_lost_before_a_lease_runs_out() -> None:
    assert 3 * EXTEND_SECONDS < LEASE_SECONDS


async def test_letting_go_of_what_is_not_held_is_no_fault() -> None:
    Leases().let_go(Raising(ValueError()))
