"""How relayed sessions end, and what each side sees of it."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from tests.realtime.peers import (
    LIMITS,
    SPEECH,
    OneToken,
    closed_with,
    drain,
    echo,
    gateway,
    model_server,
    only_relay,
    refusal,
    silent,
)
from voxgate_core import Leash
from voxgate_realtime import State


@pytest.mark.parametrize(
    ("close", "seen"),
    [
        (Close(1000, "bye"), (1000, "bye")),
        (Close(1001, ""), (1001, "the session reached its time limit")),
        (Close(1013, "busy"), (1013, "busy")),
        (Close(3000, "invalid_request_error"), (3000, "invalid_request_error")),
        (Close(4001, "theirs"), (1011, "the model server ended the session with code 4001")),
        (Close(1002, ""), (1011, "the model server ended the session with code 1002")),
    ],
)
async def test_the_client_sees_what_an_upstream_close_means(close: Close, seen: tuple[int, str]) -> None:
    async def ending(connection: ServerConnection) -> None:
        await connection.close(close.code, close.reason)

    async with model_server(ending) as url, gateway(url) as gw, gw.client() as client:
        assert await closed_with(client) == seen


async def test_an_upstream_that_vanishes_closes_1011() -> None:
    async def vanish(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with model_server(vanish) as url, gateway(url) as gw, gw.client() as client:
        await client.send(SPEECH)
        assert await refusal(client) == ("upstream_failed", 1011)


@pytest.mark.parametrize("message", ["<html>", b"binary"])
async def test_an_upstream_that_breaks_the_protocol_closes_1011(message: str | bytes) -> None:
    async def breaking(connection: ServerConnection) -> None:
        await connection.send(message)
        await connection.wait_closed()

    async with model_server(breaking) as url, gateway(url) as gw, gw.client() as client:
        assert await refusal(client) == ("upstream_failed", 1011)


@pytest.mark.parametrize(("code", "told"), [(1000, 1000), (1001, 1001), (4500, 1000)])
async def test_the_upstream_learns_how_the_client_left(code: int, told: int) -> None:
    left: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def listening(connection: ServerConnection) -> None:
        await connection.send('{"type":"session.created"}')
        await connection.wait_closed()
        left.set_result(connection.close_code)

    async with model_server(listening) as url, gateway(url) as gw:
        async with gw.client("/v1/realtime") as client:
            await client.recv()
            await client.close(code)
            assert client.close_code == code
        assert await left == told


async def test_a_client_that_vanishes_takes_its_upstream_along() -> None:
    left: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def listening(connection: ServerConnection) -> None:
        await connection.send('{"type":"session.created"}')
        await connection.wait_closed()
        left.set_result(connection.close_code)

    async with model_server(listening) as url, gateway(url) as gw:
        async with gw.client("/v1/realtime") as client:
            await client.recv()
            client.transport.abort()
        assert await left == 1001
        await gw.observer.any_closed.wait()
        assert gw.observer.summaries[0].code == 1006
        assert len(gw.realtime.sessions) == 0


async def test_a_client_that_leaves_while_the_upstream_connects_leaves_nothing() -> None:
    open_up = asyncio.Event()
    left = asyncio.Event()

    async def late(connection: ServerConnection, request: object) -> None:
        await open_up.wait()

    async def listening(connection: ServerConnection) -> None:
        await connection.wait_closed()
        left.set()

    async with model_server(listening, process_request=late) as url, gateway(url) as gw:
        async with gw.client() as client:
            await client.recv()
        await gw.observer.any_closed.wait()
        open_up.set()
        await left.wait()
        assert len(gw.realtime.sessions) == 0


async def test_a_leash_ends_the_session_4029() -> None:
    verifier = OneToken(Leash(seconds=0))
    async with model_server(echo) as url, gateway(url, verifier=verifier) as gw, gw.client() as client:
        assert await refusal(client) == ("quota_exceeded", 4029)


async def test_the_longest_session_ends_1001() -> None:
    limits = replace(LIMITS, session_seconds=0.05)
    async with model_server(echo) as url, gateway(url, limits=limits) as gw, gw.client() as client:
        assert await refusal(client) == ("session_limit", 1001)


async def test_a_client_that_answers_no_ping_is_taken_for_dead() -> None:
    limits = replace(LIMITS, ping_interval=0.1, close_timeout=0.1, resume_grace=0)
    async with model_server(echo) as url, gateway(url, limits=limits) as gw:
        async with gw.client(ping_interval=None, close_timeout=0.1) as client:
            await client.recv()
            client.transport.pause_reading()
            await gw.observer.any_closed.wait()
        assert gw.observer.summaries[0].reason == "the client went silent"


async def test_an_upstream_that_answers_no_ping_has_failed() -> None:
    async def frozen(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await thawed.wait()

    thawed = asyncio.Event()
    limits = replace(LIMITS, ping_interval=0.1, close_timeout=0.1)
    async with model_server(frozen) as url, gateway(url, limits=limits) as gw, gw.client() as client:
        keep_talking = asyncio.create_task(send_pings(client))
        assert await refusal(client) == ("upstream_failed", 1011)
        keep_talking.cancel()
        thawed.set()


async def send_pings(client: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await (await client.ping())


async def test_both_sides_stay_while_they_answer_pings() -> None:
    limits = replace(LIMITS, ping_interval=0.05)
    async with model_server(silent) as url, gateway(url, limits=limits) as gw, gw.client() as client:
        await client.recv()
        seen = only_relay(gw).upstream
        while seen.controls < 3:  # pongs
            await (await client.ping())
        assert only_relay(gw).session.state is State.OPEN


async def test_a_draining_server_closes_1012() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        drain(gw)
        assert await refusal(client) == ("draining", 1012)


async def test_a_client_that_ignores_the_close_frame_is_cut() -> None:
    limits = replace(LIMITS, close_timeout=0.1)
    async with model_server(echo) as url, gateway(url, limits=limits) as gw:
        async with gw.client(close_timeout=0.1) as client:
            await client.recv()
            client.transport.pause_reading()
            drain(gw)
            await gw.observer.any_closed.wait()
        assert gw.observer.summaries[0].code == 1012
