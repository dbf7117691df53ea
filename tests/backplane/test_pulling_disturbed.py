"""Workers that are stopped, and workers whose server or connection is lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.backplane.rig import Hands, Proxy, connection_to, empty, is_pulling, kill, until, within
from tests.backplane.servers import Pauses, running_server
from voxgate_backplane.client import Connection
from voxgate_backplane.names import Names
from voxgate_backplane.queue import JetStreamQueue
from voxgate_core import Claim, DurableQueue

NAMES = Names("test")
SOON = 10.0
"""Seconds for a restart and what follows it: well below the 30 that a pull stays open."""

QUIET = 0.6


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        yield connection


@pytest.fixture
async def queue(connection: Connection) -> DurableQueue:
    queue = await JetStreamQueue.open(connection, NAMES)
    await queue.open_lane("lane", in_hand=16, lease=30)
    return queue


async def test_a_worker_that_is_stopped_lets_its_handlers_finish(queue: DurableQueue) -> None:
    hands = Hands()
    worker = await queue.work("lane", hands, slots=4)
    await queue.put("lane", b"job")
    claim = await hands.next()
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    await hands.done(claim)
    await within(stopping)
    await empty(queue)


async def test_a_worker_that_is_stopped_hands_back_what_is_late_and_leaves_nothing_running(
    connection: Connection, queue: DurableQueue
) -> None:
    tasks, subscriptions = asyncio.all_tasks(), len(connection.client._subs)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=4)
    for number in range(3):
        await queue.put("lane", b"%d" % number)
    for _ in range(3):
        await hands.next()
    await within(worker.stop(0.1))
    assert asyncio.all_tasks() == tasks
    assert len(connection.client._subs) == len(connection.client._listeners) == subscriptions
    assert worker.in_hand == 0
    assert hands.is_idle
    await queue.put("lane", b"3")
    await hands.nothing(QUIET)
    other = Hands()
    again = await queue.work("lane", other, slots=4)
    claims = [await other.next() for _ in range(4)]
    assert {(claim.body, claim.deliveries) for claim in claims} == {(b"0", 2), (b"1", 2), (b"2", 2), (b"3", 1)}
    for claim in claims:
        await other.done(claim)
    await again.stop()


async def test_an_idle_worker_that_is_stopped_takes_no_job_from_the_next_one(
    connection: Connection, queue: DurableQueue
) -> None:
    worker = await queue.work("lane", Hands(), slots=8)
    await is_pulling(connection)
    await within(worker.stop())
    worker.set_slots(4)
    await queue.put("lane", b"job")
    hands = Hands()
    again = await queue.work("lane", hands, slots=1)
    assert (await hands.next()).deliveries == 1
    await again.stop(0)


async def test_a_stop_that_is_given_up_still_cancels_the_handlers(queue: DurableQueue) -> None:
    hands = Hands()
    worker = await queue.work("lane", hands, slots=4)
    await queue.put("lane", b"job")
    await hands.next()
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(stopping)
    assert hands.is_idle
    again = await queue.work("lane", hands, slots=4)
    assert (await hands.next()).deliveries == 2
    await again.stop(0)


async def test_jobs_that_arrive_while_it_stops_are_handed_back(queue: DurableQueue) -> None:
    taken: list[bytes] = []
    first = asyncio.Event()

    async def handler(claim: Claim) -> None:
        taken.append(claim.body)
        first.set()
        await claim.ack()

    for number in range(200):
        await queue.put("lane", b"%d" % number)
    worker = await queue.work("lane", handler, slots=16)
    await within(first.wait())
    await within(worker.stop())
    count = len(taken)
    assert count < 200
    hands = Hands()
    again = await queue.work("lane", hands, slots=16)
    rest = await hands.finish(200 - count)
    assert sorted(map(int, [*taken, *rest])) == list(range(200))
    await again.stop()


async def test_an_idle_worker_goes_on_after_its_server_was_killed(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        queue = await JetStreamQueue.open(connection, NAMES)
        await queue.open_lane("lane", in_hand=16, lease=30)
        hands = Hands()
        worker = await queue.work("lane", hands, slots=8)
        for turn in range(3):
            await is_pulling(connection)
            await kill(server)
            await queue.put("lane", b"%d" % turn)
            claim = await hands.next(SOON)
            assert (claim.body, claim.deliveries) == (b"%d" % turn, 1)
            await hands.done(claim)
            await empty(queue)
        await worker.stop()


async def test_a_busy_worker_goes_on_and_loses_no_job_when_its_server_is_killed(tmp_path: Path) -> None:
    done: dict[bytes, int] = {}
    all_done = asyncio.Event()

    async def handler(claim: Claim) -> None:
        done[claim.body] = done.get(claim.body, 0) + 1
        await claim.ack()
        if len(done) in (100, 250) and server.restarts < len(done) // 100:
            await kill(server)
        if len(done) == 400:
            all_done.set()

    async with running_server(tmp_path) as server, connection_to(server) as connection:
        queue = await JetStreamQueue.open(connection, NAMES)
        await queue.open_lane("lane", in_hand=16, lease=2)
        await asyncio.gather(*(queue.put("lane", b"%d" % number) for number in range(400)))
        worker = await queue.work("lane", handler, slots=16)
        await within(all_done.wait())
        assert server.restarts == 2
        await empty(queue)
        await worker.stop()


async def test_a_job_acknowledged_while_the_server_is_gone_does_not_come_again(tmp_path: Path) -> None:
    pauses = Pauses()
    async with running_server(tmp_path, pause=pauses) as server, connection_to(server) as connection:
        queue = await JetStreamQueue.open(connection, NAMES)
        await queue.open_lane("lane", in_hand=1, lease=30)
        hands = Hands()
        worker = await queue.work("lane", hands, slots=1)
        await queue.put("lane", b"first")
        claim = await hands.next()
        await connection.api("CONSUMER.INFO.test-jobs.lane")
        await kill(server)
        await within(pauses.asked.get())
        await hands.done(claim)
        pauses.release()
        await queue.put("lane", b"second")
        seen = [await hands.next(SOON)]
        if seen[0].body == b"first":  # the server may have died before it wrote down that it gave it out
            await hands.done(seen.pop())
            seen.append(await hands.next(SOON))
        assert seen[0].body == b"second"
        await hands.done(seen[0])
        await empty(queue)
        await worker.stop()


async def test_a_lost_connection_doubles_nothing(tmp_path: Path) -> None:
    """The server lives on, and with it the pulls it holds, unless nobody listens for their answers."""
    async with running_server(tmp_path) as server, Proxy.before(server) as proxy:
        async with connection_to(server) as straight, connection_to(server, through=proxy) as crooked:
            queue = await JetStreamQueue.open(crooked, NAMES)
            await queue.open_lane("lane", in_hand=64, lease=30)
            back = asyncio.Event()
            crooked.on_reconnect(back.set)
            hands = Hands()
            worker = await queue.work("lane", hands, slots=4)
            await is_pulling(straight)
            for _ in range(3):
                back.clear()
                proxy.cut()
                await within(back.wait())
            await is_pulling(straight)
            await asyncio.gather(*(queue.put("lane", b"%d" % number) for number in range(20)))
            claims = [await hands.next() for _ in range(4)]
            await hands.nothing(QUIET)
            for claim in claims:
                await hands.done(claim)
            for _ in range(16):
                claim = await hands.next()
                claims.append(claim)
                await hands.done(claim)
            assert {claim.deliveries for claim in claims} == {1}
            assert hands.most == 4
            await empty(queue)
            await worker.stop()


async def test_many_lanes_go_on_after_their_server_was_killed(tmp_path: Path) -> None:
    lanes = [f"lane-{number}" for number in range(60)]
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        queue = await JetStreamQueue.open(connection, NAMES)
        await asyncio.gather(*(queue.open_lane(lane, in_hand=1, lease=30) for lane in lanes))
        hands = Hands()
        before = len(connection.client._subs)
        workers = [await queue.work(lane, hands, slots=1) for lane in lanes]
        await kill(server)
        await asyncio.gather(*(queue.put(lane, lane.encode()) for lane in lanes))
        assert sorted(await hands.finish(len(lanes))) == sorted(lane.encode() for lane in lanes)
        await empty(queue)
        await within(asyncio.gather(*(worker.stop() for worker in workers)))

        async def all_let_go() -> bool:
            await connection.api("INFO")
            return len(connection.client._subs) == before

        await until(all_let_go)


async def test_a_claim_whose_connection_has_ended_says_so_in_the_log_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_server(tmp_path) as server:
        async with connection_to(server) as connection:
            queue = await JetStreamQueue.open(connection, NAMES)
            await queue.open_lane("lane", in_hand=1, lease=30)
            hands = Hands()
            worker = await queue.work("lane", hands, slots=1)
            await queue.put("lane", b"job")
            claim = await hands.next()
            await worker.stop(0)
        await claim.ack()
        assert "could not tell the server" in caplog.text
