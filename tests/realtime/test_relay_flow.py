"""Back-pressure, bounds and liveness of the relay, with peers that do not read."""

import asyncio
import contextlib
import gc
import json
import weakref
from dataclasses import replace

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.realtime.peers import (
    LIMITS,
    MIB,
    SPEECH,
    echo,
    gateway,
    model_server,
    only_relay,
    refusal,
    send_all,
)


async def test_a_client_that_floods_before_the_upstream_is_ready_is_no_longer_read() -> None:
    open_up = asyncio.Event()

    async def late(connection: ServerConnection, request: object) -> None:
        await open_up.wait()

    limits = replace(LIMITS, pending_bytes=64 * 1024)
    async with (
        model_server(echo, process_request=late) as url,
        gateway(url, limits=limits) as gw,
        gw.client(max_queue=None) as client,
    ):
        await client.recv()
        relay = only_relay(gw)
        flood = asyncio.create_task(send_all(client, [SPEECH] * 10_000))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(flood), 0.5)
        held = sum(map(len, relay.session.take_pending()))
        assert held < limits.pending_bytes + 256 * 1024  # what one read of the socket may hold comes on top
        open_up.set()
        await flood


async def test_a_client_that_never_reads_pauses_the_upstream_within_a_bound_and_loses_nothing() -> None:
    sent: list[str] = []

    async def flood(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:  # sizes on both sides of picows' copying bound, and never the same twice in a row
                event = json.dumps({"type": "x", "number": len(sent), "delta": "A" * (len(sent) * 7919 % 90_000)})
                sent.append(event)
                await connection.send(event)

    async with model_server(flood) as url, gateway(url) as gw:
        async with gw.client("/v1/realtime", max_queue=1) as client:
            relay = only_relay(gw)
            before = -1
            while not (relay.client.full and len(sent) == before):  # until the flood has stopped moving
                before = len(sent)
                await asyncio.wait([asyncio.create_task(gw.observer.any_closed.wait())], timeout=0.2)
            transport = relay.client.transport
            assert transport is not None
            unsent = transport.underlying_transport.get_write_buffer_size()
            assert LIMITS.high_water < unsent < LIMITS.high_water + 2 * LIMITS.receive_buffer + MIB
            assert sum(map(len, sent)) < 64 * MIB  # the rest sits in socket buffers and in the peers
            for number in range(before + 100):  # reading again lets the stream go on
                assert await client.recv() == sent[number]


async def test_a_long_frame_on_a_slow_line_is_not_silence() -> None:
    limits = replace(LIMITS, ping_interval=0.1, close_timeout=0.1)
    async with model_server(echo) as url, gateway(url, limits=limits) as gw:
        async with gw.client("/v1/realtime", ping_interval=None) as client:
            message = json.dumps({"type": "input_audio_buffer.append", "audio": "A" * 60_000}).encode()
            frame = b"\x81\xfe" + len(message).to_bytes(2, "big") + bytes(4) + message
            for at in range(0, len(frame), 2000):  # 30 pieces over 5 intervals
                client.transport.write(frame[at : at + 2000])
                await asyncio.wait([asyncio.create_task(gw.observer.any_closed.wait())], timeout=0.02)
            assert await client.recv() == message.decode()


async def test_a_session_that_is_over_leaves_its_memory_without_the_garbage_collector() -> None:
    async with model_server(echo) as url, gateway(url) as gw:
        gc.collect()
        gc.disable()
        try:
            async with gw.client("/v1/realtime") as client:
                await client.send(json.dumps({"type": "input_audio_buffer.append", "audio": "A" * MIB}))
                await client.recv()
                gone = weakref.ref(only_relay(gw))
                sides = weakref.ref(only_relay(gw).client), weakref.ref(only_relay(gw).upstream)
            await gw.observer.any_closed.wait()
            while gone() is not None or any(side() is not None for side in sides):
                await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)
        finally:
            gc.enable()


async def test_a_session_whose_upstream_refused_it_leaves_its_memory_without_the_garbage_collector() -> None:
    async def refuse(_: ServerConnection, __: Request) -> Response:
        return Response(403, "Forbidden", Headers({"content-length": "0"}))

    async with model_server(echo, process_request=refuse) as url, gateway(url) as gw:
        gc.collect()
        gc.disable()
        try:
            async with gw.client() as client:
                gone = weakref.ref(only_relay(gw))
                assert await refusal(client) == ("upstream_failed", 1011)
            await gw.observer.any_closed.wait()
            while gone() is not None:
                await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)
        finally:
            gc.enable()


async def test_an_upstream_that_never_reads_pauses_the_client_within_a_bound() -> None:
    read_on = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        await read_on.wait()  # nobody reads, so the library's queue fills and it stops reading too
        async for _ in connection:
            pass

    async with model_server(deaf) as url, gateway(url) as gw, gw.client(ping_interval=None) as client:
        await client.recv()
        relay = only_relay(gw)
        flood = asyncio.create_task(send_all(client, [SPEECH] * 10_000))
        try:
            while not relay.upstream.full:
                await asyncio.wait([flood], timeout=0.05)
            finished, _ = await asyncio.wait([flood], timeout=0.5)
            transport = relay.upstream.transport
            assert transport is not None
            unsent = transport.underlying_transport.get_write_buffer_size()
        finally:
            read_on.set()
        await flood
        assert not finished
        assert LIMITS.high_water < unsent < LIMITS.high_water + 2 * LIMITS.receive_buffer + MIB


async def test_pings_of_a_client_that_never_reads_do_not_pile_up() -> None:
    async def chatty(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.send(json.dumps({"type": "x", "y": "A" * 65536}))

    async with model_server(chatty) as url, gateway(url) as gw, gw.client(max_queue=1, ping_interval=None) as client:
        relay = only_relay(gw)
        while not relay.client.full:
            await asyncio.wait([asyncio.create_task(gw.observer.any_closed.wait())], timeout=0.05)
        transport = relay.client.transport
        assert transport is not None
        before = transport.underlying_transport.get_write_buffer_size()
        seen = relay.client.controls
        for number in range(5_000):
            client.protocol.send_ping(str(number).encode().rjust(125))
            client.transport.write(b"".join(client.protocol.data_to_send()))
        while relay.client.controls < seen + 5_000:
            await asyncio.wait([asyncio.create_task(gw.observer.any_closed.wait())], timeout=0.05)
        assert transport.underlying_transport.get_write_buffer_size() <= before


@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_a_side_that_stays_full_for_too_long_ends_the_session(who: str) -> None:
    async def flood(connection: ServerConnection) -> None:
        if who == "upstream":
            connection.transport.pause_reading()
            await gone.wait()
            return
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.send(json.dumps({"type": "x", "y": "A" * 65536}))

    gone = asyncio.Event()
    limits = replace(LIMITS, stall_timeout=0.2, close_timeout=0.1, resume_grace=0)
    async with model_server(flood) as url, gateway(url, limits=limits) as gw:
        async with gw.client(max_queue=1, close_timeout=0.1) as client:
            if who == "upstream":
                with contextlib.suppress(ConnectionClosed):
                    await send_all(client, [SPEECH] * 50_000)
            await gw.observer.any_closed.wait()
            gone.set()
        [summary] = gw.observer.summaries
        assert summary.code == {"client": 1008, "upstream": 1011}[who]
