import asyncio
import math
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats.errors
import pytest
from nats.aio.msg import Msg
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import APIError

from tests.backplane.rig import connection_to, within
from tests.backplane.servers import running_server
from voxgate_backplane.client import Connection
from voxgate_backplane.streams import PAGE_BYTES, Page, ensure_stream, moment, read_page
from voxgate_core import VoxgateError

CONFIG = StreamConfig(name="s", subjects=["s.*"], storage=StorageType.FILE, allow_direct=True)


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        yield connection


async def max_msgs(connection: Connection) -> int:
    return int((await connection.api("STREAM.INFO.s"))["config"]["max_msgs"])


async def test_a_stream_is_made_once_and_changed_later(connection: Connection) -> None:
    await ensure_stream(connection, CONFIG)
    await connection.publish("s.x", b"kept", {})
    await ensure_stream(connection, CONFIG)
    await ensure_stream(connection, CONFIG.evolve(max_msgs=100))
    assert await max_msgs(connection) == 100
    assert (await connection.api("STREAM.INFO.s"))["state"]["messages"] == 1


async def test_processes_that_start_together_make_one_stream(connection: Connection) -> None:
    configs = [CONFIG, CONFIG.evolve(max_msgs=100)] * 4
    await asyncio.gather(*(ensure_stream(connection, config) for config in configs))
    assert await max_msgs(connection) in (-1, 100)


async def test_a_stream_that_can_not_be_changed_so_is_refused(connection: Connection) -> None:
    await ensure_stream(connection, CONFIG)
    with pytest.raises(VoxgateError, match="could not make the stream s") as refused:
        await ensure_stream(connection, CONFIG.evolve(storage=StorageType.MEMORY))
    assert refused.value.code == "unavailable"
    with pytest.raises(VoxgateError):
        await ensure_stream(connection, CONFIG.evolve(name="other", storage=StorageType.MEMORY))  # the same subjects


async def read_all(connection: Connection, subject: str, limit: int) -> list[list[bytes]]:
    pages: list[list[bytes]] = []
    page = Page([], 0, True)
    while page.left:
        page = await read_page(connection, "s", subject, after=page.last, limit=limit)
        pages.append([message.data for message in page.messages])
    return pages


async def test_a_stream_is_read_page_by_page(connection: Connection) -> None:
    await ensure_stream(connection, CONFIG)
    for number in range(7):
        await connection.publish(f"s.{number % 2}", b"%d" % number, {})
    assert await read_all(connection, "s.*", 3) == [[b"0", b"1", b"2"], [b"3", b"4", b"5"], [b"6"]]
    assert await read_all(connection, "s.1", 2) == [[b"1", b"3"], [b"5"]]
    assert await read_all(connection, "s.1", 3) == [[b"1", b"3", b"5"]]
    assert await read_all(connection, "s.2", 3) == [[]]
    assert await read_page(connection, "s", "s.*", after=7, limit=3) == Page([], 7, False)


async def test_a_page_ends_after_so_many_bytes_and_at_least_one_message(connection: Connection) -> None:
    await ensure_stream(connection, CONFIG)
    sizes = [PAGE_BYTES + 1, PAGE_BYTES // 2, PAGE_BYTES // 3, PAGE_BYTES // 2, 10]
    for size in sizes:
        await connection.publish("s.x", bytes(size), {})
    pages = await within(read_all(connection, "s.*", 100))
    assert [len(body) for page in pages for body in page] == sizes
    assert len(pages) > 1
    assert all(sum(map(len, page[:-1])) <= PAGE_BYTES for page in pages)


async def test_a_stream_is_read_from_a_moment_on(connection: Connection) -> None:
    await ensure_stream(connection, CONFIG)
    await connection.publish("s.x", b"1", {})
    for since, found in ((time.time() - 60, [b"1"]), (time.time() + 60, []), (-5.0, [b"1"])):
        page = await read_page(connection, "s", "s.x", since=since, limit=3)
        assert [message.data for message in page.messages] == found


@pytest.mark.parametrize("since", [math.inf, math.nan, 1e12])
async def test_what_is_no_moment_is_refused(connection: Connection, since: float) -> None:
    with pytest.raises(ValueError, match=r"epoch seconds|year|NaN"):
        await read_page(connection, "s", "s.x", since=since, limit=3)


async def test_an_end_that_is_none_is_an_error(connection: Connection) -> None:
    def refuse(message: Msg) -> None:
        answering.append(
            asyncio.ensure_future(
                connection.client.publish(message.reply, b"", headers={"Status": "408", "Description": "Bad Request"})
            )
        )

    answering: list[asyncio.Future[None]] = []
    await connection.listen("$JS.API.DIRECT.GET.fake", refuse)
    with pytest.raises(APIError, match="Bad Request"):
        await read_page(connection, "fake", "s.x", limit=3)
    await asyncio.gather(*answering)


async def test_a_stream_without_direct_reads_can_not_be_read(connection: Connection) -> None:
    with pytest.raises(nats.errors.NoRespondersError):
        await connection.ask_for_many("$JS.API.DIRECT.GET.none", b'{"seq":1}', patience=0.2)


def test_a_moment_is_told_in_milliseconds() -> None:
    assert moment(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"
