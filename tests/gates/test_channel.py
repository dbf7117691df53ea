import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from voxgate_gates import ABSENT
from voxgate_gates.channel import Channel


@asynccontextmanager
async def channel_to(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Channel]:
    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", proxy=None) as connection:
            yield Channel(connection, status=101, headers={})


async def test_events_the_error_and_the_close_become_facts() -> None:
    async def refuse(connection: ServerConnection) -> None:
        await connection.send('{"type": "error", "error": {"code": "token_expired"}}')
        await connection.close(4003, "gone – long ago")

    async with channel_to(refuse) as channel:
        assert await channel.closed()
        facts = channel.facts()
    assert facts["CLOSE_CODE"] == 4003
    assert facts["CLOSE_REASON"] == "gone – long ago"
    assert facts["REASON_BYTES"] == 17
    assert facts["ERROR"] == {"code": "token_expired"}
    assert facts["EVENTS"] == ["error"]
    assert facts["SUBPROTOCOL"] is ABSENT


async def test_what_is_not_an_event_is_named_instead() -> None:
    async def babble(connection: ServerConnection) -> None:
        for message in (b"bytes", "not json", "[1]"):
            await connection.send(message)
        await connection.close()

    async with channel_to(babble) as channel:
        assert await channel.closed()
        assert channel.types == ["(binary)", "(not JSON)", "(not an object)"]
        assert channel.facts()["ERROR"] is ABSENT


async def test_a_silent_target_is_waited_for_only_so_long() -> None:
    async def hold(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with channel_to(hold) as channel:
        assert await channel.receive(0.05) is None
        assert await channel.until("never", seconds=0.05) is None
        assert not await channel.closed(0.05)
        assert not await channel.refused(0.05)
        assert channel.facts()["CLOSE_CODE"] is ABSENT


async def test_until_passes_over_other_events_and_gives_up_on_a_close() -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send('{"type": "one"}')
        await connection.send('{"type": "two"}')
        await connection.close()

    async with channel_to(talk) as channel:
        assert await channel.until("two") == {"type": "two"}
        assert await channel.until("three") is None
        assert channel.close_code == 1000


async def test_a_word_of_welcome_is_no_refusal() -> None:
    async def welcome(connection: ServerConnection) -> None:
        await connection.send('{"type": "error"}')
        await connection.send('{"type": "auth_success"}')
        await connection.wait_closed()

    async with channel_to(welcome) as channel:
        assert not await channel.refused()
        assert channel.is_open


async def test_a_dropped_connection_is_1006_and_sending_into_it_changes_nothing() -> None:
    async def drop(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with channel_to(drop) as channel:
        assert await channel.closed()
        await channel.send({"type": "late"})
        assert (channel.close_code, channel.close_reason) == (1006, "")
        assert channel.sent == ['{"type": "late"}']
        assert await channel.receive() is None


async def test_a_close_found_while_sending_is_noted() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(1012, "draining")

    async with channel_to(leave) as channel:
        connection = channel._connection
        assert connection is not None
        async with asyncio.timeout(5):
            await connection.wait_closed()
        await channel.send("too late", remember=False)
        assert channel.close_code == 1012
        assert channel.sent == []


@pytest.mark.parametrize("status", [403, 404])
async def test_a_refused_handshake_is_a_channel_that_never_opens(status: int) -> None:
    channel = Channel(None, status=status, headers={"x": "y"})
    await channel.send("nothing")
    assert await channel.receive() is None
    assert await channel.closed()
    assert channel.facts()["STATUS"] == status
    assert channel.facts()["CLOSE_CODE"] is ABSENT
