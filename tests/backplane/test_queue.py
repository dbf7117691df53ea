import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from nats.aio.msg import Msg

from tests.backplane.rig import Hands, connection_to, empty, kill, within
from tests.backplane.servers import Pauses, running_server
from voxgate_backplane.client import PATIENCE_SECONDS, Connection
from voxgate_backplane.names import Names
from voxgate_backplane.pulling import Puller
from voxgate_backplane.queue import JetStreamQueue
from voxgate_core import DeadLetter, DeadQuery, DurableQueue, VoxgateError

NAMES = Names("test")


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        yield connection


@pytest.fixture
async def queue(connection: Connection) -> DurableQueue:
    return await JetStreamQueue.open(connection, NAMES)


async def open_lanes(queue: DurableQueue, *lanes: str) -> None:
    for lane in lanes:
        await queue.open_lane(lane, in_hand=8, lease=30)


async def work_off(queue: DurableQueue, lane: str, count: int) -> list[bytes]:
    hands = Hands()
    worker = await queue.work(lane, hands, slots=8)
    bodies = await hands.finish(count)
    await worker.stop()
    assert hands.is_idle
    return bodies


async def test_a_job_that_was_put_outlives_a_killed_server(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        queue = await JetStreamQueue.open(connection, NAMES)
        await open_lanes(queue, "lane")
        await asyncio.gather(*(queue.put("lane", b"%d" % number) for number in range(100)))
        await kill(server)
        assert sorted(map(int, await work_off(queue, "lane", 100))) == list(range(100))
        await empty(queue)


async def test_jobs_of_a_lane_come_in_the_order_they_were_put(queue: DurableQueue) -> None:
    await open_lanes(queue, "lane")
    for number in range(20):
        await queue.put("lane", b"%d" % number)
    assert await work_off(queue, "lane", 20) == [b"%d" % number for number in range(20)]


async def test_a_job_is_swallowed_when_its_lane_had_the_same_id_just_now(queue: DurableQueue) -> None:
    await open_lanes(queue, "one", "two")
    for lane in ("one", "two"):
        await queue.put(lane, b"first", id="evt-1")
        await queue.put(lane, b"again", id="evt-1")
        await queue.put(lane, b"kept back", id="evt-1", at=time.time() + 60)
        await queue.put(lane, b"other", id="evt-2")
        await queue.put(lane, b"no id")
        await queue.put(lane, b"no id")
    for lane in ("one", "two"):
        assert await work_off(queue, lane, 4) == [b"first", b"other", b"no id", b"no id"]
    await queue.put("one", b"done before", id="evt-1")
    await empty(queue)


async def test_a_job_is_kept_back_until_its_moment_over_a_kill(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        queue = await JetStreamQueue.open(connection, NAMES)
        await open_lanes(queue, "lane")
        hands = Hands()
        worker = await queue.work("lane", hands, slots=8)
        moment = time.time() + 2
        await queue.put("lane", b"later", id="evt-1", at=moment)
        await queue.put("lane", b"sooner", at=moment - 1.5)
        assert await hands.finish(1) == [b"sooner"]
        await empty(queue, but=1)
        await kill(server)
        claim = await hands.next()
        assert time.time() >= moment
        assert (claim.body, claim.deliveries) == (b"later", 1)
        await hands.done(claim)
        await worker.stop()
        await empty(queue)


async def test_a_moment_that_has_passed_keeps_nothing_back(queue: DurableQueue) -> None:
    await open_lanes(queue, "lane")
    for at in (0.0, -1e9, time.time() - 1):
        await queue.put("lane", str(at).encode(), at=at)
    assert len(await work_off(queue, "lane", 3)) == 3


@pytest.mark.parametrize("at", [math.nan, math.inf, -math.inf, 1e13])
async def test_what_is_no_moment_is_refused(queue: DurableQueue, at: float) -> None:
    with pytest.raises(ValueError, match=r"epoch seconds|year|NaN"):
        await queue.put("lane", b"", at=at)


async def test_a_job_kept_back_is_replaced_by_a_later_one_with_its_id(
    connection: Connection, queue: DurableQueue
) -> None:
    await open_lanes(queue, "lane")
    config = (await connection.api("STREAM.INFO.test-jobs"))["config"]
    await connection.api("STREAM.UPDATE.test-jobs", {**config, "duplicate_window": 10**8})
    await queue.put("lane", b"first", id="evt-1", at=time.time() + 600)
    moment = time.time() + 1

    async def put_past_the_window() -> None:
        while (await connection.api("STREAM.INFO.test-jobs"))["state"]["last_seq"] == 1:
            await queue.put("lane", b"second", id="evt-1", at=moment)

    await within(put_past_the_window())
    assert await queue.backlog() == {"lane": 1}
    assert await work_off(queue, "lane", 1) == [b"second"]


async def test_the_backlog_counts_what_is_waiting_kept_back_and_in_hand(queue: DurableQueue) -> None:
    assert await queue.backlog() == {}
    bare = await queue.bytes_stored()
    await open_lanes(queue, "one", "two", "three")
    for number in range(3):
        await queue.put("one", bytes(1_000))
        await queue.put("two", b"", at=time.time() + 60 + number)
    hands = Hands()
    worker = await queue.work("one", hands, slots=1)
    claim = await hands.next()
    assert await queue.backlog() == {"one": 3, "two": 3}
    assert await queue.bytes_stored() > bare + 3_000
    await hands.done(claim)
    await worker.stop(0)
    await empty(queue, but=5)


async def test_lanes_are_known_to_everyone(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        async with connection_to(server) as connection:
            queue = await JetStreamQueue.open(connection, NAMES)
            assert await queue.lanes() == frozenset()
            await open_lanes(queue, "one", "two")
        await kill(server)
        async with connection_to(server) as connection:
            other = await JetStreamQueue.open(connection, NAMES)
            assert await other.lanes() == {"one", "two"}


class Scripted:
    """Stands for a connection whose server has more to tell than fits into one answer."""

    def __init__(self, answers: Mapping[int, dict[str, Any]]) -> None:
        self._answers = answers

    async def api(self, verb: str, question: Mapping[str, int]) -> dict[str, Any]:
        return self._answers[question["offset"]]

    def queue(self) -> JetStreamQueue:
        connection = cast(Connection, self)
        return JetStreamQueue(connection, NAMES, Puller(connection, NAMES.jobs_stream))


async def test_lanes_are_listed_past_one_page() -> None:
    scripted = Scripted({0: {"total": 3, "consumers": ["a", "b"]}, 2: {"total": 3, "consumers": ["c"]}})
    assert await scripted.queue().lanes() == {"a", "b", "c"}
    shrunk = Scripted({0: {"total": 3, "consumers": ["a"]}, 1: {"total": 3, "consumers": None}})
    assert await shrunk.queue().lanes() == {"a"}


async def test_the_backlog_is_counted_past_one_page() -> None:
    first = {"total": 3, "state": {"subjects": {"test.job.a": 2, "test.later.a.x": 1}}}
    scripted = Scripted({0: first, 2: {"total": 3, "state": {"subjects": {"test.later.b.y": 1}}}})
    assert await scripted.queue().backlog() == {"a": 3, "b": 1}
    assert await Scripted({0: first, 2: {"total": 3, "state": {}}}).queue().backlog() == {"a": 3}


async def test_closing_a_lane_removes_its_jobs_and_no_others(queue: DurableQueue) -> None:
    await open_lanes(queue, "one", "two")
    for lane in ("one", "two"):
        await queue.put(lane, b"waiting")
        await queue.put(lane, b"kept back", at=time.time() + 1)
    await queue.close_lane("one")
    assert await queue.lanes() == {"two"}
    assert await queue.backlog() == {"two": 2}
    await queue.close_lane("one")
    await queue.close_lane("never-there")
    await queue.put("one", b"late")
    assert await queue.backlog() == {"one": 1, "two": 2}
    await open_lanes(queue, "one")
    assert await work_off(queue, "one", 1) == [b"late"]
    assert await work_off(queue, "two", 2) == [b"waiting", b"kept back"]


async def test_opening_a_lane_again_changes_it_only_where_it_differs(
    connection: Connection, queue: DurableQueue
) -> None:
    written: list[Msg] = []
    await connection.listen("$JS.API.CONSUMER.DURABLE.CREATE.>", written.append)
    for in_hand, lease in ((8, 30.0), (8, 30.0), (1, 30.0), (1, 2.5), (1, 2.5)):
        await queue.open_lane("lane", in_hand=in_hand, lease=lease)
        config = (await connection.api("CONSUMER.INFO.test-jobs.lane"))["config"]
        assert (config["max_ack_pending"], config["ack_wait"]) == (in_hand, lease * 1e9)
    assert len(written) == 3


@pytest.mark.parametrize("lane", ["", "a.b", "*", ">", "a b", "x" * 129])
async def test_a_name_that_is_no_token_is_refused_by_every_method(queue: DurableQueue, lane: str) -> None:
    letter = DeadLetter(lane, "evt", b"", "", 1, 0, 0)
    for call in (
        queue.open_lane(lane, in_hand=1, lease=1),
        queue.close_lane(lane),
        queue.put(lane, b""),
        queue.put("lane", b"", id=lane),
        queue.work(lane, Hands(), slots=1),
        queue.bury(letter),
        queue.dead(DeadQuery(lane=lane)),
        queue.dead(DeadQuery(id=lane)),
    ):
        with pytest.raises(ValueError, match="the name of a lane or job"):
            await call
    assert await queue.lanes() == frozenset()


async def test_a_body_that_no_server_takes_is_refused(connection: Connection, queue: DurableQueue) -> None:
    body = bytes(connection.client.max_payload - 10)
    with pytest.raises(VoxgateError, match="too large") as refused:
        await queue.put("lane", body)
    assert refused.value.code == "body_too_large"
    with pytest.raises(VoxgateError, match="too large"):
        await queue.bury(DeadLetter("lane", "evt", body, "", 1, 0, 0))


async def test_a_queue_that_is_not_there_says_so_within_its_patience(tmp_path: Path) -> None:
    async with running_server(tmp_path, pause=Pauses()) as server, connection_to(server) as connection:
        queue: DurableQueue = await JetStreamQueue.open(connection, NAMES)
        letter = DeadLetter("lane", "evt", b"", "", 1, 0, 0, ref="1")
        await kill(server)
        refusals = await within(
            asyncio.gather(
                queue.open_lane("lane", in_hand=1, lease=1),
                queue.lanes(),
                queue.close_lane("lane"),
                queue.put("lane", b""),
                queue.put("lane", b"", at=time.time() + 1),
                queue.backlog(),
                queue.bury(letter),
                queue.dead(DeadQuery()),
                queue.forget(letter),
                return_exceptions=True,
            ),
            PATIENCE_SECONDS + 3,
        )
        assert [refusal.code for refusal in refusals if isinstance(refusal, VoxgateError)] == ["unavailable"] * 9
