import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from tests.backplane.rig import connection_to, consumers_of, kill, within
from tests.backplane.servers import Pauses, running_server
from tests.helpers.keyvalue_contract import next_change
from voxgate_backplane.client import Connection
from voxgate_backplane.keyvalue import NatsKeyValue
from voxgate_backplane.names import Names
from voxgate_backplane.watching import HEARTBEAT_SECONDS, WATCH_QUEUE, Watch
from voxgate_core import Change, KeyValue

NAMES = Names("test")
STREAM = NAMES.bucket_stream
MISSED = Change("", None, missed=True)


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        yield connection


@pytest.fixture
async def store(connection: Connection) -> KeyValue:
    return await NatsKeyValue.open(connection, NAMES)


async def watch_on(connection: Connection) -> Watch:
    watch = Watch(connection, STREAM, NAMES.key_subject(">"))
    await watch.begin()
    return watch


async def test_a_watch_leaves_nothing_behind(connection: Connection, store: KeyValue) -> None:
    before = len(connection.client._subs)
    for _ in range(3):
        async with store.watch("a."), store.watch("b."):
            assert await consumers_of(connection, STREAM) == 2
            assert len(connection._callbacks) == 2
        with pytest.raises(LookupError):
            async with store.watch("a."):
                raise LookupError
    assert await consumers_of(connection, STREAM) == 0
    assert len(connection.client._subs) == len(connection.client._listeners) == before
    assert not connection._callbacks


async def test_a_watcher_is_told_that_it_missed_some_when_the_server_was_killed(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        store = await NatsKeyValue.open(connection, NAMES)
        async with store.watch("") as changes:
            for turn in (b"1", b"2"):
                await kill(server)
                assert await within(anext(changes)) == MISSED
                await store.put("key", turn)
                assert await within(anext(changes)) == Change("key", turn)
            assert await consumers_of(connection, STREAM) == 1
            assert len(connection._callbacks) == 1
        assert await consumers_of(connection, STREAM) == 0


async def test_what_came_before_the_server_was_lost_is_still_told(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        store = await NatsKeyValue.open(connection, NAMES)
        async with store.watch("") as changes, store.watch("") as witness:
            await store.put("key", b"1")
            assert await within(anext(witness)) == Change("key", b"1")
            await kill(server)
            assert await within(anext(witness)) == MISSED
            assert [await within(anext(changes)) for _ in range(2)] == [Change("key", b"1"), MISSED]


async def test_a_watch_may_end_while_there_is_no_server(tmp_path: Path) -> None:
    pauses = Pauses()
    async with running_server(tmp_path, pause=pauses) as server, connection_to(server) as connection:
        store = await NatsKeyValue.open(connection, NAMES)
        before = len(connection.client._subs)
        async with store.watch("") as changes:
            await kill(server)
            reading = asyncio.create_task(next_change(changes))
            await within(pauses.asked.get())
        reading.cancel()
        assert len(connection.client._subs) == len(connection.client._listeners) == before
        assert not connection._callbacks
        pauses.release()
        assert await within(consumers_of(connection, STREAM)) == 0


async def test_a_watch_the_server_has_forgotten_is_begun_anew(connection: Connection, store: KeyValue) -> None:
    async with store.watch("") as changes:
        (name,) = (await connection.api(f"CONSUMER.NAMES.{STREAM}"))["consumers"]
        await connection.api(f"CONSUMER.DELETE.{STREAM}.{name}")
        await store.put("key", b"unheard")
        assert await within(anext(changes), 5 * HEARTBEAT_SECONDS) == MISSED
        await store.put("key", b"heard")
        assert await within(anext(changes)) == Change("key", b"heard")


async def test_a_hole_in_the_numbers_is_seen(connection: Connection, store: KeyValue) -> None:
    watch = await watch_on(connection)
    watch._hear(Msg(connection.client, NAMES.key_subject("key"), "$JS.ACK.stream.consumer.1.7.5.0.0"))
    assert await within(watch.next()) is None
    await store.put("key", b"")
    assert await within(watch.next()) is not None
    await watch.end()


async def test_a_hole_before_a_heartbeat_is_seen(connection: Connection, store: KeyValue) -> None:
    watch = await watch_on(connection)
    watch._delivered = 7  # as if seven had come that the server knows nothing of
    assert await within(watch.next(), 5 * HEARTBEAT_SECONDS) is None
    await watch.end()


async def test_a_slow_watcher_is_told_that_it_missed_some_and_then_sees_new_ones(
    connection: Connection, store: KeyValue
) -> None:
    watch = await watch_on(connection)
    sent = [
        Msg(connection.client, NAMES.key_subject("key"), f"$JS.ACK.stream.consumer.1.{number}.{number}.0.0")
        for number in range(1, WATCH_QUEUE + 3)
    ]
    for message in sent:
        watch._hear(message)
    assert await within(watch.next()) is None
    assert await within(watch.next()) is sent[-1]
    await watch.end()


async def test_starting_anew_is_tried_until_it_works(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        await NatsKeyValue.open(connection, NAMES)
        watch = await watch_on(connection)
        await connection.api(f"STREAM.DELETE.{STREAM}")
        next_one = asyncio.create_task(watch.next())
        await asyncio.sleep(0)
        watch._break()
        store = await NatsKeyValue.open(connection, NAMES)
        assert await within(next_one) is None
        await store.put("key", b"")
        assert await within(watch.next()) is not None
        await watch.end()
