import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.engine.wire import (
    Event,
    judge,
    noise,
    one,
    receive,
    receive_until,
    send,
    silence,
    text_of,
    types_of,
    unknown_fields,
)
from voxgate_engine import EngineServer, EngineSettings

FAST = EngineSettings(pace=200.0, first_audio_ms=5.0, replies=("All is well.",), transcripts=("How are you?",))
CHUNK = 4_800
"""Bytes of a tenth of a second."""


@pytest.fixture
async def engine() -> AsyncIterator[EngineServer]:
    async with EngineServer(settings=FAST) as server:
        yield server


@pytest.fixture
async def client(engine: EngineServer) -> AsyncIterator[ClientConnection]:
    async with connect(engine.url) as socket_:
        assert (await receive(socket_))["type"] == "session.created"
        yield socket_


async def stream(client: ClientConnection, audio: bytes) -> None:
    for start in range(0, len(audio), CHUNK):
        await send(client, "input_audio_buffer.append", audio=text_of(audio[start : start + CHUNK]))


async def update(client: ClientConnection, **session: object) -> None:
    await send(client, "session.update", session={"type": "realtime", **session})
    assert (await receive(client))["type"] == "session.updated"


def audio_of(events: list[Event]) -> bytes:
    return b"".join(base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")


async def refusal(url: str, **headers: str) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=headers)
    return refused.value


async def test_a_spoken_turn_goes_through(client: ClientConnection) -> None:
    await update(client, audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}}})
    await stream(client, silence(400) + noise(700) + silence(700))
    events = await receive_until(client, "response.done")
    kinds = types_of(events)
    assert kinds[:3] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
    ]
    assert len(audio_of(events)) > 24_000
    assert one(events, "response.output_audio_transcript.done")["transcript"] == "All is well."
    if "conversation.item.input_audio_transcription.completed" not in kinds:
        events = await receive_until(client, "conversation.item.input_audio_transcription.completed")
    completed = one(events, "conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == "How are you?"


async def test_push_to_talk_goes_through(client: ClientConnection) -> None:
    await update(client, audio={"input": {"turn_detection": None}})
    await stream(client, noise(500))
    await send(client, "input_audio_buffer.commit")
    await receive_until(client, "conversation.item.done")
    await send(client, "response.create")
    assert audio_of(await receive_until(client, "response.done"))


async def test_speech_cuts_a_slow_answer_short(engine: EngineServer) -> None:
    async with EngineServer(settings=EngineSettings(pace=0.5)) as slow, connect(slow.url) as client:
        await receive(client)
        await send(client, "response.create")
        await receive_until(client, "response.output_audio.delta")
        await stream(client, noise(300))
        done = (await receive_until(client, "response.done"))[-1]["response"]
        assert done["status_details"]["reason"] == "turn_detected"


async def test_the_official_client_drives_a_whole_turn(engine: EngineServer) -> None:
    base_url = engine.url.replace("ws://", "http://").removesuffix("/realtime")
    kinds: list[str] = []
    async with AsyncOpenAI(api_key="unused", base_url=base_url) as openai:
        async with openai.realtime.connect(model="gpt-realtime-2.1") as connection:
            await connection.session.update(
                session={
                    "type": "realtime",
                    "instructions": "Be brief.",
                    "audio": {"input": {"transcription": {"model": "whisper-1"}}},
                }
            )
            audio = noise(600) + silence(700)
            for start in range(0, len(audio), CHUNK):
                await connection.input_audio_buffer.append(audio=text_of(audio[start : start + CHUNK]))
            async for event in connection:
                assert not list(unknown_fields(event))
                kinds.append(event.type)
                if event.type == "session.updated":
                    assert event.session.type == "realtime"
                    assert event.session.instructions == "Be brief."
                if event.type == "response.done":
                    assert event.response.status == "completed"
                    assert event.response.usage is not None
                    assert event.response.usage.total_tokens
                    break
    assert kinds[:2] == ["session.created", "session.updated"]
    assert "response.output_audio.delta" in kinds


async def test_garbage_is_answered_and_the_session_lives(client: ClientConnection) -> None:
    for message, code in (
        ("{nonsense", "invalid_json"),
        ("[]", "invalid_type"),
        ('{"type":"nope","event_id":"mine"}', "invalid_value"),
        (b"\x00\x01", "invalid_message_type"),
    ):
        await client.send(message)
        event = await receive(client)
        assert (event["type"], event["error"]["code"]) == ("error", code)
    assert event["error"]["event_id"] is None
    await send(client, "input_audio_buffer.clear")
    assert (await receive(client))["type"] == "input_audio_buffer.cleared"


async def test_the_largest_append_of_the_protocol_is_taken(client: ClientConnection) -> None:
    await update(client, audio={"input": {"turn_detection": None}})
    await send(client, "input_audio_buffer.append", audio="A" * (15 * 1024 * 1024))
    await send(client, "input_audio_buffer.clear")
    assert (await receive(client))["type"] == "input_audio_buffer.cleared"


async def test_a_message_past_the_bound_closes_with_1009(engine: EngineServer) -> None:
    client = await connect(engine.url)
    await receive(client)
    await asyncio.gather(client.send("x" * (16 * 1024 * 1024 + 1)), return_exceptions=True)
    with pytest.raises(ConnectionClosed) as closed:
        await client.recv()
    await client.wait_closed()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_the_model_of_the_address_is_the_model_of_the_session(engine: EngineServer) -> None:
    async with connect(f"{engine.url}?model=gpt-realtime") as client:
        assert (await receive(client))["session"]["model"] == "gpt-realtime"


async def test_the_subprotocol_is_echoed_and_nothing_is_compressed(engine: EngineServer) -> None:
    offered = [Subprotocol("realtime"), Subprotocol("openai-insecure-api-key.sk-x")]
    async with connect(engine.url, subprotocols=offered) as client:
        assert client.subprotocol == "realtime"
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers
    async with connect(engine.url) as client:
        assert client.subprotocol is None


@pytest.mark.parametrize(
    ("headers", "offered"),
    [({"OpenAI-Beta": "realtime=v1"}, None), ({}, [Subprotocol("realtime"), Subprotocol("openai-beta.realtime-v1")])],
    ids=["header", "subprotocol"],
)
async def test_the_beta_is_told_and_closed(
    engine: EngineServer, headers: dict[str, str], offered: list[Subprotocol] | None
) -> None:
    async with connect(engine.url, additional_headers=headers, subprotocols=offered) as client:
        assert (await receive(client))["error"]["code"] == "beta_api_shape_disabled"
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000


async def test_another_path_is_not_found(engine: EngineServer) -> None:
    response = (await refusal(engine.url.replace("/v1/realtime", "/v1/chat"))).response
    assert response.status_code == 404
    assert json.loads(response.body or b"")["error"]["code"] == "not_found"


async def test_a_key_is_asked_for_when_one_is_set() -> None:
    async with EngineServer(settings=EngineSettings(api_key="sk-right")) as engine:
        response = (await refusal(engine.url, Authorization="Bearer sk-wrong")).response
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert b"sk-" not in (response.body or b"")
        for headers in ({"Authorization": "Bearer sk-right"}, {"api-key": "sk-right"}):
            async with connect(engine.url, additional_headers=headers) as client:
                assert (await receive(client))["type"] == "session.created"


async def test_a_full_engine_refuses_and_a_place_comes_free() -> None:
    async with EngineServer(settings=EngineSettings(max_sessions=1)) as engine:
        async with connect(engine.url) as client:
            await receive(client)
            assert engine.sessions == 1
            assert (await refusal(engine.url)).response.status_code == 503
        await engine.wait_idle()
        async with connect(engine.url) as client:
            assert (await receive(client))["type"] == "session.created"


async def test_of_handshakes_side_by_side_no_more_than_the_limit_stay() -> None:
    async with EngineServer(settings=EngineSettings(max_sessions=1)) as engine:
        results = await asyncio.gather(*(connect(engine.url) for _ in range(4)), return_exceptions=True)
        opened = [result for result in results if isinstance(result, ClientConnection)]
        first = await asyncio.gather(*(client.recv() for client in opened), return_exceptions=True)
        assert sum(isinstance(message, str) for message in first) == 1
        for client in opened:
            await client.close()


async def test_a_session_is_closed_with_1001_when_its_time_is_up() -> None:
    async with EngineServer(settings=EngineSettings(session_seconds=0.05)) as engine, connect(engine.url) as client:
        assert (await receive_until(client, "error"))[-1]["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_leaving_closes_sessions_with_1001_and_the_port() -> None:
    async with EngineServer(settings=FAST) as engine:
        client = await connect(engine.url)
        await receive(client)
        port = engine.port
    with pytest.raises(ConnectionClosed) as closed:
        await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_client_that_vanishes_leaves_nothing_behind(engine: EngineServer) -> None:
    client = await connect(engine.url)
    await receive(client)
    client.transport.abort()
    await client.wait_closed()
    await engine.wait_idle()
    assert engine.sessions == 0
    async with connect(engine.url) as other:
        assert (await receive(other))["type"] == "session.created"


async def test_sessions_do_not_hear_each_other(engine: EngineServer) -> None:
    async with connect(engine.url) as first, connect(engine.url) as second:
        await receive(first)
        await receive(second)
        await send(first, "response.create")
        await receive_until(first, "response.done")
        await send(second, "input_audio_buffer.clear")
        assert (await receive(second))["type"] == "input_audio_buffer.cleared"


async def test_a_socket_can_be_handed_in() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with EngineServer(sock=listener) as engine:
        assert engine.port == port
        async with connect(engine.url) as client:
            assert judge(await client.recv())["type"] == "session.created"


async def test_an_ipv6_address_is_bracketed() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        server = await EngineServer(host="::1").__aenter__()
    except OSError as error:
        pytest.skip(f"this machine does not listen on ::1: {error}")
    assert server.url == f"ws://[::1]:{server.port}/v1/realtime"
    await server.__aexit__(None, None, None)


def test_an_engine_that_does_not_listen_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="not listening"):
        _ = EngineServer().url
