import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from tests.realtime.peers import ORIGIN, TOKEN, Gateway, OneToken, closed_with, echo, gateway, model_server
from voxgate_core import Leash
from voxgate_realtime import RelayLimits, State
from voxgate_realtime.relay import Relay

LIMITS = RelayLimits()
MIB = 1024 * 1024
SPEECH = json.dumps({"type": "input_audio_buffer.append", "audio": "A" * 4096})


def only_relay(gw: Gateway) -> Relay:
    [live] = gw.realtime.sessions
    assert isinstance(live, Relay)
    return live


async def refusal(connection: ClientConnection) -> tuple[str, int | None]:
    """The code of the error event that came last, and the close code after it."""
    code = ""
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            event = json.loads(message)
            if event["type"] == "error":
                code = event["error"]["code"]
    return code, connection.close_code


async def silent(connection: ServerConnection) -> None:
    await connection.wait_closed()


# -- authentication ------------------------------------------------------------------------------------------------


async def test_success_is_announced_before_anything_else_on_the_native_path() -> None:
    async def eager(connection: ServerConnection) -> None:
        await connection.send('{"type":"session.created"}')
        await connection.wait_closed()

    async with model_server(eager) as url, gateway(url) as gw, gw.client(origin=ORIGIN) as client:
        first, second = json.loads(await client.recv()), json.loads(await client.recv())
        assert first == {
            "type": "auth_success", "sessionId": "sess-1", "resumed": False, "expiresAt": 1_900_000_000, "received": 0,
        }  # fmt: skip
        assert second["type"] == "session.created"
        assert gw.verifier.seen == [(ORIGIN, True)]


@pytest.mark.parametrize("path", ["/v1/realtime", "/openai/v1/realtime"])
async def test_the_openai_paths_say_nothing_of_their_own_and_reuse_tokens(path: str) -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client(path) as client:
        await client.send('{"type":"session.update"}')
        assert json.loads(await client.recv())["type"] == "session.update"
        assert gw.verifier.seen == [(None, False)]


async def test_no_credential_on_an_openai_path_closes_4001_at_once() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client("/v1/realtime", token=None) as client:
        assert await refusal(client) == ("credential_missing", 4001)
        assert gw.observer.refusals == ["credential_missing"]


async def test_a_silent_socket_closes_4001_when_its_time_is_up() -> None:
    limits = replace(LIMITS, auth_timeout=0.05)
    async with model_server(echo) as url, gateway(url, limits=limits) as gw, gw.client(token=None) as client:
        assert await refusal(client) == ("credential_timeout", 4001)


async def test_the_credential_may_be_the_first_message() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client(token=None) as client:
        await client.send(json.dumps({"type": "auth", "token": TOKEN}))
        assert json.loads(await client.recv())["type"] == "auth_success"
        await client.send(SPEECH)
        assert await client.recv() == SPEECH


async def test_another_first_message_closes_4001() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client(token=None) as client:
        await client.send(SPEECH)
        assert await refusal(client) == ("credential_missing", 4001)


@pytest.mark.parametrize("path", ["/realtime", "/v1/realtime"])
async def test_an_invalid_credential_closes_4003(path: str) -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client(path, token="bad") as client:
        assert await refusal(client) == ("credential_invalid", 4003)


async def test_a_verifier_that_breaks_closes_1011_and_tells_nothing() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client(token="explodes") as client:
        assert await refusal(client) == ("internal_error", 1011)
        assert client.close_reason == "The gateway failed"


async def test_no_memory_is_spent_on_a_client_without_a_credential() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client(token=None) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send("x" * (LIMITS.auth_bytes + 1))
        assert await refusal(client) == ("message_too_large", 1009)


async def test_sockets_without_a_credential_are_limited_in_number() -> None:
    limits = replace(LIMITS, max_unauthenticated=1)
    async with model_server(echo) as url, gateway(url, limits=limits) as gw:
        async with gw.client(token=None), gw.client(token=None) as second:
            assert await refusal(second) == ("capacity_exceeded", 1013)


async def test_a_revocation_while_verifying_is_not_missed() -> None:
    verifier = OneToken()
    verifier.gate.clear()
    async with model_server(echo) as url, gateway(url, verifier=verifier) as gw, gw.client() as client:
        await verifier.asked.wait()
        gw.realtime.revoke(lambda grant: grant.token_id == "jti-1")
        verifier.gate.set()
        assert await refusal(client) == ("token_revoked", 4003)


async def test_a_live_session_closes_4003_when_revoked() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        assert gw.realtime.revoke(lambda grant: grant.subject == "ada") == 1
        assert await refusal(client) == ("token_revoked", 4003)


async def test_a_switched_off_relay_closes_1013() -> None:
    async with model_server(echo) as url, gateway(url, enabled=False) as gw, gw.client() as client:
        assert await refusal(client) == ("proxy_disabled", 1013)


# -- relaying ------------------------------------------------------------------------------------------------------


async def test_messages_pass_both_ways_and_are_counted() -> None:
    async with model_server(echo) as url, gateway(url) as gw:
        async with gw.client() as client:
            await client.recv()
            for _ in range(10):
                await client.send(SPEECH)
                assert await client.recv() == SPEECH
        await gw.observer.any_closed.wait()
        [summary] = gw.observer.summaries
        assert (summary.code, summary.subject) == (1000, "ada")
        assert (summary.client_messages, summary.upstream_messages) == (10, 10)
        assert summary.client_bytes == summary.upstream_bytes == 10 * len(SPEECH)


async def test_fragments_are_joined_in_both_directions() -> None:
    async def fragmenting(connection: ServerConnection) -> None:
        async for message in connection:
            assert isinstance(message, str)
            await connection.send([message[:100], message[100:200], message[200:]])

    async with model_server(fragmenting) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        await client.send([SPEECH[:7], SPEECH[7:4000], SPEECH[4000:]])
        assert await client.recv() == SPEECH
        assert only_relay(gw).session.client_messages == 1


async def test_an_append_of_15_mib_passes() -> None:
    message = json.dumps({"type": "input_audio_buffer.append", "audio": "A" * (15 * MIB)})
    async with model_server(echo) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        await client.send(message)
        assert await client.recv() == message


@pytest.mark.parametrize("fragments", [1, 5])
async def test_a_message_over_the_bound_closes_1009(fragments: int) -> None:
    size = LIMITS.max_message // fragments + 1
    async with model_server(silent) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        with contextlib.suppress(ConnectionClosed):
            await client.send(["x" * size] * fragments if fragments > 1 else "x" * size)
        assert (await closed_with(client))[0] == 1009


@pytest.mark.parametrize(
    ("message", "code"),
    [("not json", 1007), ("[]", 1007), ('{"x":1}', 1007), (b'{"type":"x"}', 1003), ('{"type":"x","TYPE":"y"}', 1007)],
)
async def test_what_is_not_a_json_text_event_ends_the_session(message: str | bytes, code: int) -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        await client.send(message)
        assert (await refusal(client))[1] == code


async def test_invalid_utf8_closes_1007() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        await client.send(b'{"type":"x","y":"\xff"}', text=True)
        assert (await refusal(client))[1] == 1007


async def test_what_a_client_says_before_the_upstream_is_ready_arrives_in_order() -> None:
    received: asyncio.Queue[str | bytes] = asyncio.Queue()
    open_up = asyncio.Event()

    async def late(connection: ServerConnection, request: object) -> None:
        await open_up.wait()

    async def keep(connection: ServerConnection) -> None:
        async for message in connection:
            received.put_nowait(message)

    async with model_server(keep, process_request=late) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        for number in range(20):
            await client.send(json.dumps({"type": f"event.{number}"}))
        await (await client.ping())  # everything before it has been read
        assert only_relay(gw).session.state is State.CONNECTING
        open_up.set()
        kinds = [json.loads(await received.get())["type"] for _ in range(20)]
        assert kinds == [f"event.{number}" for number in range(20)]


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


async def send_all(client: ClientConnection, messages: list[str]) -> None:
    for message in messages:
        await client.send(message)


# -- back-pressure -------------------------------------------------------------------------------------------------


async def test_a_client_that_never_reads_pauses_the_upstream_within_a_bound() -> None:
    sent = 0
    event = json.dumps({"type": "response.output_audio.delta", "delta": "A" * 65536})

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.send(event)
                sent += len(event)

    async with model_server(flood) as url, gateway(url) as gw:
        async with gw.client(max_queue=1) as client:
            relay = only_relay(gw)
            before = -1
            while not (relay.client.full and sent == before):  # until the flood has stopped moving
                before = sent
                await asyncio.wait([asyncio.create_task(gw.observer.any_closed.wait())], timeout=0.2)
            transport = relay.client.transport
            assert transport is not None
            unsent = transport.underlying_transport.get_write_buffer_size()
            assert LIMITS.high_water < unsent < LIMITS.high_water + 2 * LIMITS.receive_buffer + MIB
            assert sent < 64 * MIB  # the rest sits in socket buffers and in the peers
            received = sum([len(await client.recv()) for _ in range(400)])
            assert received > 20 * MIB  # reading again lets the stream go on


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
        seen = relay.client.frames_seen
        for number in range(5_000):
            client.protocol.send_ping(str(number).encode().rjust(125))
            client.transport.write(b"".join(client.protocol.data_to_send()))
        while relay.client.frames_seen < seen + 5_000:
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
    limits = replace(LIMITS, stall_timeout=0.2, close_timeout=0.1)
    async with model_server(flood) as url, gateway(url, limits=limits) as gw:
        async with gw.client(max_queue=1, close_timeout=0.1) as client:
            if who == "upstream":
                with contextlib.suppress(ConnectionClosed):
                    await send_all(client, [SPEECH] * 50_000)
            await gw.observer.any_closed.wait()
            gone.set()
        [summary] = gw.observer.summaries
        assert summary.code == {"client": 1008, "upstream": 1011}[who]


# -- endings -------------------------------------------------------------------------------------------------------


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
    limits = replace(LIMITS, ping_interval=0.1, close_timeout=0.1)
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
        while seen.frames_seen < 3:  # pongs
            await (await client.ping())
        assert only_relay(gw).session.state is State.OPEN


async def test_a_draining_server_closes_1012() -> None:
    async with model_server(echo) as url, gateway(url) as gw, gw.client() as client:
        await client.recv()
        gw.realtime.drain()
        assert await refusal(client) == ("draining", 1012)


async def test_a_client_that_ignores_the_close_frame_is_cut() -> None:
    limits = replace(LIMITS, close_timeout=0.1)
    async with model_server(echo) as url, gateway(url, limits=limits) as gw:
        async with gw.client(close_timeout=0.1) as client:
            await client.recv()
            client.transport.pause_reading()
            gw.realtime.drain()
            await gw.observer.any_closed.wait()
        assert gw.observer.summaries[0].code == 1012
