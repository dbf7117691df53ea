"""Dead letters: kept, found again by every condition, and forgotten."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backplane.rig import connection_to, kill
from tests.backplane.servers import running_server
from voxgate_backplane.client import Connection
from voxgate_backplane.names import Names
from voxgate_backplane.queue import DEAD_SLACK_SECONDS, JetStreamQueue
from voxgate_core import DeadLetter, DeadQuery, DurableQueue, SystemClock, VoxgateError

NAMES = Names("test")


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        yield connection


@pytest.fixture
async def queue(connection: Connection) -> DurableQueue:
    return await JetStreamQueue.open(connection, NAMES)


def letter(lane: str, id: str, *, died_at: float = 2_000.5) -> DeadLetter:
    return DeadLetter(lane, id, f"{lane}/{id}".encode(), "HTTP 500", 7, 1_000.25, died_at)


async def found(queue: DurableQueue, query: DeadQuery) -> list[tuple[str, str]]:
    return [(letter.lane, letter.id) for letter in await queue.dead(query)]


@pytest.mark.parametrize("reason", ["", " HTTP 500 ", "zwölf\r\nNats-Rollup: all", "\ud800", "x" * 5_000, '{"a": 1}'])
async def test_a_letter_comes_back_as_it_was_buried(queue: DurableQueue, reason: str) -> None:
    buried = DeadLetter("lane", "evt-1", b"\r\n\x00body", reason, 7, 1_700_000_000.123456, 1_700_000_999.5)
    await queue.bury(buried)
    (read,) = await queue.dead(DeadQuery())
    assert read == replace(buried, ref=read.ref)
    assert read.ref


async def test_letters_outlive_a_killed_server(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        queue = await JetStreamQueue.open(connection, NAMES)
        await queue.bury(letter("lane", "evt"))
        await kill(server)
        assert await found(queue, DeadQuery()) == [("lane", "evt")]


async def test_letters_are_found_by_every_condition_that_is_given(queue: DurableQueue) -> None:
    now = SystemClock().now()
    for number, (lane, id) in enumerate([("one", "a"), ("one", "b"), ("two", "a"), ("two", "c"), ("one", "a")]):
        await queue.bury(letter(lane, id, died_at=now + number))
    assert await found(queue, DeadQuery()) == [
        ("one", "a"), ("one", "b"), ("two", "a"), ("two", "c"), ("one", "a"),
    ]  # fmt: skip
    assert await found(queue, DeadQuery(lane="one")) == [("one", "a"), ("one", "b"), ("one", "a")]
    assert await found(queue, DeadQuery(id="a")) == [("one", "a"), ("two", "a"), ("one", "a")]
    assert await found(queue, DeadQuery(lane="two", id="a")) == [("two", "a")]
    assert await found(queue, DeadQuery(since=now + 2)) == [("two", "a"), ("two", "c"), ("one", "a")]
    assert await found(queue, DeadQuery(since=now + 2, lane="one")) == [("one", "a")]
    assert await found(queue, DeadQuery(since=now + DEAD_SLACK_SECONDS + 60)) == []
    assert await found(queue, DeadQuery(since=0, lane="two")) == [("two", "a"), ("two", "c")]
    assert await found(queue, DeadQuery(since=-1e308, lane="two")) == [("two", "a"), ("two", "c")]
    assert await found(queue, DeadQuery(since=1e308)) == []
    assert await found(queue, DeadQuery(lane="three")) == []


async def test_a_letter_stored_long_after_its_death_is_found_by_the_death(queue: DurableQueue) -> None:
    await queue.bury(letter("lane", "old", died_at=1_000))
    await queue.bury(letter("lane", "new", died_at=2_000))
    assert await found(queue, DeadQuery(since=1_500)) == [("lane", "new")]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_letters_are_paged(queue: DurableQueue, limit: int) -> None:
    for number in range(5):
        await queue.bury(letter("odd" if number % 2 else "even", f"evt-{number}", died_at=1_000 + number))
    for query, expected in (
        (DeadQuery(limit=limit), [0, 1, 2, 3, 4]),
        (DeadQuery(limit=limit, lane="even"), [0, 2, 4]),
        (DeadQuery(limit=limit, since=1_002), [2, 3, 4]),
    ):
        pages, after = [], None
        while page := await queue.dead(replace(query, after=after)):
            assert len(page) <= limit
            pages += [letter.id for letter in page]
            after = page[-1].ref
        assert pages == [f"evt-{number}" for number in expected]


async def test_no_letters_are_asked_for_and_none_come(queue: DurableQueue) -> None:
    await queue.bury(letter("lane", "evt"))
    assert await found(queue, DeadQuery(limit=0)) == []


@pytest.mark.parametrize("after", ["", "x", "1; drop"])
async def test_a_place_that_is_none_is_refused(queue: DurableQueue, after: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await queue.dead(DeadQuery(after=after))


async def test_a_letter_is_forgotten_and_may_be_forgotten_again(queue: DurableQueue) -> None:
    for id in ("a", "b", "c"):
        await queue.bury(letter("lane", id))
    first, second, last = await queue.dead(DeadQuery())
    for gone in (second, second, last, last):
        await queue.forget(gone)
    assert await found(queue, DeadQuery()) == [("lane", "a")]
    assert await found(queue, DeadQuery(after=first.ref)) == []
    await queue.forget(replace(first, ref="99"))
    assert await found(queue, DeadQuery()) == [("lane", "a")]


async def test_a_letter_that_could_not_be_forgotten_is_told_of(connection: Connection, queue: DurableQueue) -> None:
    await queue.bury(letter("lane", "evt"))
    (kept,) = await queue.dead(DeadQuery())
    config = (await connection.api("STREAM.INFO.test-dead"))["config"]
    await connection.api("STREAM.UPDATE.test-dead", {**config, "sealed": True})
    with pytest.raises(VoxgateError, match="could not forget") as refused:
        await queue.forget(kept)
    assert refused.value.code == "unavailable"
    assert await found(queue, DeadQuery()) == [("lane", "evt")]
