import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.realtime.peers import (
    LIMITS,
    MIB,
    ORIGIN,
    SPEECH,
    TOKEN,
    OneToken,
    closed_with,
    echo,
    gateway,
    model_server,
    only_relay,
    refusal,
    silent,
)
from voxgate_realtime import State


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


async def test_a_verifier_that_takes_too_long_does_not_keep_the_socket() -> None:
    verifier = OneToken()
    verifier.gate.clear()
    limits = replace(LIMITS, auth_timeout=0.1)
    async with model_server(echo) as url, gateway(url, limits=limits, verifier=verifier) as gw, gw.client() as client:
        assert await refusal(client) == ("unavailable", 1013)
        verifier.gate.set()
        while len(gw.realtime.sessions):
            await asyncio.wait([asyncio.ensure_future(gw.observer.any_closed.wait())], timeout=0.01)
        assert gw.observer.opened_grants == []


async def test_a_session_that_cannot_be_resumed_says_so() -> None:
    async with model_server(echo) as url, gateway(url) as gw:
        async with gw.client("/realtime?resume=sess-0&last_event_id=event_7") as client:
            opened = json.loads(await client.recv())
            assert (opened["resumed"], opened["received"], opened["sessionId"]) == (False, 0, "sess-1")


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
        assert only_relay(gw).client.messages == 1


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
