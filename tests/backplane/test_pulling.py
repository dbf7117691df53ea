import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from tests.backplane.rig import Hands, connection_to, consumers_of, empty, is_pulling, within
from tests.backplane.servers import hearing, running_server
from voxgate_backplane.client import Connection
from voxgate_backplane.names import Names
from voxgate_backplane.pulling import FAILED_SECONDS, LaneWorker
from voxgate_backplane.queue import JetStreamQueue
from voxgate_core import Claim, DurableQueue

NAMES = Names("test")
QUIET = 0.6
"""Seconds in which nothing may happen: a redelivery takes some milliseconds."""


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        yield connection


@pytest.fixture
async def queue(connection: Connection) -> DurableQueue:
    return await JetStreamQueue.open(connection, NAMES)


async def open_lane(queue: DurableQueue, *, in_hand: int = 16, lease: float = 30) -> None:
    await queue.open_lane("lane", in_hand=in_hand, lease=lease)


async def put(queue: DurableQueue, *bodies: bytes) -> None:
    for body in bodies:
        await queue.put("lane", body)


async def test_a_claim_nobody_acknowledged_comes_back_after_its_lease(queue: DurableQueue) -> None:
    await open_lane(queue, lease=1)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=4)
    await put(queue, b"job")
    started = asyncio.get_running_loop().time()
    first = await hands.next()
    assert (first.lane, first.body, first.deliveries) == ("lane", b"job", 1)
    hands.let_go(first)
    second = await hands.next()
    assert asyncio.get_running_loop().time() - started > 0.9
    assert (second.body, second.deliveries) == (b"job", 2)
    await hands.done(second)
    await empty(queue)
    await worker.stop()


async def test_a_claim_that_is_extended_is_kept(queue: DurableQueue) -> None:
    await open_lane(queue, lease=1)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=4)
    await put(queue, b"job")
    claim = await hands.next()
    for _ in range(6):
        await hands.nothing(0.4)
        await claim.extend()
    await hands.done(claim)
    await empty(queue)
    await worker.stop()


async def test_a_job_handed_back_comes_again_at_once_or_after_its_delay(queue: DurableQueue) -> None:
    await open_lane(queue)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=4)
    await put(queue, b"job")
    loop = asyncio.get_running_loop()
    claim = await hands.next()
    for turn, delay in enumerate((0.0, 0.5, -1.0), 2):
        started = loop.time()
        await claim.hand_back(delay)
        hands.let_go(claim)
        claim = await hands.next()
        assert claim.deliveries == turn
        assert loop.time() - started >= delay
    await hands.done(claim)
    await empty(queue)
    await worker.stop()


@pytest.mark.parametrize("slots", [1, 4])
async def test_a_lane_of_one_keeps_its_order_over_jobs_that_are_handed_back(queue: DurableQueue, slots: int) -> None:
    await open_lane(queue, in_hand=1)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=slots)
    await put(queue, b"1", b"2", b"3")
    seen = []
    for number in range(9):
        claim = await hands.next()
        assert hands.most == 1
        seen.append((claim.body, claim.deliveries))
        await (claim.ack() if number % 3 == 2 else claim.hand_back(0.2 * (number % 3)))
        hands.let_go(claim)
    assert seen == [(body, turn) for body in (b"1", b"2", b"3") for turn in (1, 2, 3)]
    await worker.stop()


async def test_no_more_jobs_are_in_hand_than_there_are_slots(queue: DurableQueue) -> None:
    await open_lane(queue)
    await put(queue, *(b"%d" % number for number in range(20)))
    hands = Hands()
    worker = await queue.work("lane", hands, slots=3)
    claims = [await hands.next() for _ in range(3)]
    await hands.nothing(QUIET)
    assert worker.in_hand == 3
    for claim in claims:
        await hands.done(claim)
    await hands.finish(17)
    assert hands.most == 3
    await worker.stop()


async def test_one_free_hand_of_many_takes_a_job_while_the_others_are_busy(queue: DurableQueue) -> None:
    await open_lane(queue)
    await put(queue, *(b"%d" % number for number in range(9)))
    hands = Hands()
    worker = await queue.work("lane", hands, slots=8)
    busy = [await hands.next() for _ in range(8)]
    await hands.done(busy.pop())
    busy.append(await hands.next())
    assert hands.most == 8
    for claim in busy:
        await hands.done(claim)
    await worker.stop()


async def test_no_more_jobs_are_out_than_the_lane_allows_over_all_workers(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as one, connection_to(server) as two:
        queues = [await JetStreamQueue.open(connection, NAMES) for connection in (one, two)]
        await open_lane(queues[0], in_hand=3)
        await put(queues[0], *(b"%d" % number for number in range(10)))
        hands = Hands()
        workers = [await queue.work("lane", hands, slots=8) for queue in queues]
        claims = [await hands.next() for _ in range(3)]
        await hands.nothing(QUIET)
        for claim in claims:
            await hands.done(claim)
        await hands.finish(7)
        assert hands.most <= 3
        for worker in workers:
            await worker.stop()


async def test_two_workers_share_a_lane(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as one, connection_to(server) as two:
        queues = [await JetStreamQueue.open(connection, NAMES) for connection in (one, two)]
        await open_lane(queues[0])
        both = Hands(), Hands()
        workers = [await queue.work("lane", hands, slots=4) for queue, hands in zip(queues, both, strict=True)]
        await put(queues[0], *(b"%d" % number for number in range(8)))
        claims = [[await hands.next() for _ in range(4)] for hands in both]
        assert sorted(int(claim.body) for some in claims for claim in some) == list(range(8))
        for hands, some in zip(both, claims, strict=True):
            for claim in some:
                await hands.done(claim)
        await empty(queues[0])
        for worker in workers:
            await worker.stop()


async def test_no_slots_pause_a_lane_and_lose_it_nothing(connection: Connection, queue: DurableQueue) -> None:
    await open_lane(queue)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=8)
    await put(queue, b"in hand")
    in_hand = await hands.next()
    await is_pulling(connection)
    worker.set_slots(0)
    await put(queue, b"1", b"2", b"3")
    await hands.nothing(QUIET)
    assert worker.in_hand == 1
    assert (await connection.api("CONSUMER.INFO.test-jobs.lane"))["num_ack_pending"] == 1
    await hands.done(in_hand)
    await hands.nothing(QUIET)
    worker.set_slots(8)
    claims = [await hands.next() for _ in range(3)]
    assert [(claim.body, claim.deliveries) for claim in claims] == [(b"1", 1), (b"2", 1), (b"3", 1)]
    for claim in claims:
        await hands.done(claim)
    await worker.stop()


async def test_fewer_slots_hold_at_once(connection: Connection, queue: DurableQueue) -> None:
    await open_lane(queue)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=8)
    await is_pulling(connection)
    worker.set_slots(2)
    await put(queue, *(b"%d" % number for number in range(6)))
    first = await hands.next(), await hands.next()
    await hands.nothing(QUIET)
    worker.set_slots(3)
    third = await hands.next()
    await hands.nothing(QUIET)
    assert [claim.deliveries for claim in (*first, third)] == [1, 1, 1]
    for claim in (*first, third):
        await hands.done(claim)
    await hands.finish(3)
    assert hands.most == 3
    await worker.stop()


async def test_slots_that_come_and_go_disturb_no_order(queue: DurableQueue) -> None:
    await open_lane(queue, in_hand=1)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=1)
    seen = []
    for number in range(30):
        worker.set_slots(0)
        await put(queue, b"%d" % number)
        worker.set_slots(1)
        seen += await hands.finish(1)
    assert seen == [b"%d" % number for number in range(30)]
    await worker.stop()


async def test_a_job_whose_handler_fails_is_told_of_and_given_out_again(queue: DurableQueue) -> None:
    await open_lane(queue)
    seen: asyncio.Queue[Claim] = asyncio.Queue()

    async def handler(claim: Claim) -> None:
        seen.put_nowait(claim)
        if claim.deliveries == 1:
            raise LookupError("of the handler")
        await claim.ack()

    with hearing() as log:
        worker = await queue.work("lane", handler, slots=1)
        await put(queue, b"bad", b"good")
        assert (await within(seen.get())).body == b"bad"
        await within(log.wait_for("a job of lane lane failed"))
        started = asyncio.get_running_loop().time()
        assert (await within(seen.get())).body == b"good"
        assert (await within(seen.get())).deliveries == 2
        assert asyncio.get_running_loop().time() - started > FAILED_SECONDS - 1
    await worker.stop()


async def test_a_handler_may_hand_back_before_it_fails(queue: DurableQueue) -> None:
    await open_lane(queue)
    seen: asyncio.Queue[Claim] = asyncio.Queue()

    async def handler(claim: Claim) -> None:
        seen.put_nowait(claim)
        await claim.ack()
        if claim.body == b"bad":
            raise LookupError

    with hearing() as log:
        worker = await queue.work("lane", handler, slots=1)
        await put(queue, b"bad")
        await within(log.wait_for("a job of lane lane failed"))
        await empty(queue)
    await worker.stop()
    assert seen.qsize() == 1


async def test_a_lane_has_one_worker_in_a_process(connection: Connection, queue: DurableQueue) -> None:
    await open_lane(queue)
    worker = await queue.work("lane", Hands(), slots=1)
    with pytest.raises(ValueError, match="by this process already"):
        await queue.work("lane", Hands(), slots=1)
    await worker.stop()
    hands = Hands()
    again = await queue.work("lane", hands, slots=1)
    await put(queue, b"job")
    assert await hands.finish(1) == [b"job"]
    await again.stop()
    assert await consumers_of(connection, NAMES.jobs_stream) == 1


async def test_a_lane_that_is_not_open_is_worked_once_it_is(queue: DurableQueue) -> None:
    hands = Hands()
    with hearing() as log:
        worker = await queue.work("lane", hands, slots=1)
        await within(log.wait_for("the lane lane can't be worked"))
        await hands.nothing(2 * QUIET)
        await open_lane(queue)
        await put(queue, b"job")
        assert await hands.finish(1) == [b"job"]
        await queue.close_lane("lane")
        await within(log.wait_for("the lane lane can't be worked"))
        assert len([record for record in log.records if "can't be worked" in record.getMessage()]) == 2
    await worker.stop()


async def test_a_pull_that_ends_is_followed_by_another(connection: Connection, queue: DurableQueue) -> None:
    await open_lane(queue)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=1)
    assert isinstance(worker, LaneWorker)
    await is_pulling(connection)
    asked: asyncio.Queue[Msg] = asyncio.Queue()
    await connection.listen("$JS.API.CONSUMER.MSG.NEXT.test-jobs.lane", asked.put_nowait)
    for status in ("408", "404"):
        assert worker._pull is not None
        subject = f"{worker._prefix}{worker._pull.number}"
        worker._hear(worker._prefix, Msg(connection.client, subject, headers={"Status": status}))
        assert b'"batch":1' in (await within(asked.get())).data
    out = worker._pull
    worker._hear("_INBOX.old.", Msg(connection.client, "_INBOX.old.1", headers={"Status": "408"}))
    worker._hear(worker._prefix, Msg(connection.client, f"{worker._prefix}1", headers={"Status": "408"}))
    assert worker._pull is out, "a word about an earlier pull counts for nothing"
    worker.begin_anew()
    await within(asked.get())
    assert asked.empty()
    await put(queue, b"job")
    assert await hands.finish(1) == [b"job"]
    await worker.stop()


async def test_a_new_leader_makes_a_lane_pull_anew(connection: Connection, queue: DurableQueue) -> None:
    await open_lane(queue)
    worker = await queue.work("lane", Hands(), slots=1)
    await is_pulling(connection)
    asked: list[Msg] = []
    await connection.listen("$JS.API.CONSUMER.MSG.NEXT.test-jobs.*", asked.append)
    for lane in ("other", "lane"):
        connection.client.send(f"$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.test-jobs.{lane}", b"{}")
    await connection.api("INFO")
    await is_pulling(connection)
    assert [message.subject.rpartition(".")[2] for message in asked] == ["lane"]
    await worker.stop()


async def test_a_job_that_comes_when_no_hand_is_free_is_handed_back(
    connection: Connection, queue: DurableQueue
) -> None:
    await open_lane(queue)
    hands = Hands()
    worker = await queue.work("lane", hands, slots=0)
    assert isinstance(worker, LaneWorker)
    come: asyncio.Queue[Msg] = asyncio.Queue()
    await connection.listen("_INBOX.ours", come.put_nowait)
    await put(queue, b"job")
    connection.client.send("$JS.API.CONSUMER.MSG.NEXT.test-jobs.lane", b"1", "_INBOX.ours")
    worker._receive(await within(come.get()))
    worker.set_slots(1)
    claim = await hands.next()
    assert claim.deliveries == 2
    await hands.done(claim)
    await worker.stop()


async def test_a_worker_can_be_stopped_when_its_connection_has_ended(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        async with connection_to(server) as connection:
            queue = await JetStreamQueue.open(connection, NAMES)
            await open_lane(queue)
            worker = await queue.work("lane", Hands(), slots=1)
            await is_pulling(connection)
        tasks = asyncio.all_tasks()
        with hearing() as log:
            assert isinstance(worker, LaneWorker)
            ended = Msg(connection.client, f"{worker._prefix}1", headers={"Status": "408"})
            worker._hear(worker._prefix, ended)  # it pulls anew, and can't
            worker.begin_anew()
            late = await queue.work("other", Hands(), slots=1)
            await within(log.wait_for("the lane lane can't be worked: ConnectionClosedError"))
            await within(log.wait_for("the lane other can't be worked: ConnectionClosedError"))
            await within(worker.stop())
            await within(late.stop())
        assert asyncio.all_tasks() == tasks
