import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from voxgate_gates.channel import Channel
from voxgate_gates.speech import CHUNK_SECONDS, Clip, load_clip, speak, turn_facts

EXPECTED = ("a", "b")


def audio(pcm: bytes) -> dict[str, object]:
    return {"type": "response.output_audio.delta", "delta": b64encode(pcm).decode()}


def test_the_clip_is_a_short_sentence_that_can_be_heard() -> None:
    clip = load_clip()
    assert 1.2 <= clip.seconds <= 1.6
    loudest = max(
        abs(int.from_bytes(clip.pcm[at : at + 2], "little", signed=True)) for at in range(0, len(clip.pcm), 2)
    )
    assert loudest > 20_000


def test_a_clip_that_is_not_a_recording_is_refused() -> None:
    with pytest.raises(Exception, match="RIFF"):
        load_clip("README.md")


def test_chunks_hold_the_whole_clip_at_the_pace_of_a_browser() -> None:
    clip = load_clip()
    chunks = clip.chunks()
    assert b"".join(chunks) == clip.pcm
    assert 0.02 <= CHUNK_SECONDS <= 0.04
    assert {len(chunk) for chunk in chunks[:-1]} == {1920}


def test_silence_is_silent_and_as_long_as_asked() -> None:
    clip = Clip.silence(0.5)
    assert clip.seconds == 0.5
    assert not any(clip.pcm)


def test_a_whole_turn_is_read_from_its_events() -> None:
    events: list[tuple[float, Mapping[str, object]]] = [
        (1.0, {"type": "a"}),
        (1.1, {"type": "b"}),
        (1.2, {"type": "response.output_audio_transcript.delta", "delta": "Yes"}),
        (1.5, audio(bytes(10))),
        (1.6, audio(bytes(5))),
        (1.7, {"type": "response.done", "response": {"status": "completed"}}),
    ]
    facts = turn_facts(events, EXPECTED, 1.0)
    assert facts == {
        "MISSING": [],
        "IN_ORDER": True,
        "AUDIO_BYTES": 15,
        "TRANSCRIPT": "Yes",
        "FIRST_AUDIO_MS": 500,
        "RESPONSE": {"status": "completed"},
    }


def test_what_never_came_is_missing_or_left_out() -> None:
    facts = turn_facts([(1.0, {"type": "b"})], EXPECTED, 1.0)
    assert facts["MISSING"] == ["a"]
    assert "FIRST_AUDIO_MS" not in facts
    assert "RESPONSE" not in facts


def test_the_wrong_order_is_seen() -> None:
    assert turn_facts([(1.0, {"type": "b"}), (2.0, {"type": "a"})], EXPECTED, 1.0)["IN_ORDER"] is False


def test_audio_that_is_not_base64_counts_for_nothing() -> None:
    broken = {"type": "response.output_audio.delta", "delta": "not base64!"}
    assert turn_facts([(1.0, broken)], (), 1.0)["AUDIO_BYTES"] == 0


async def test_speaking_sends_the_clip_in_order_and_stops_on_the_awaited_event() -> None:
    heard = bytearray()
    complete = asyncio.Event()

    async def listen(connection: ServerConnection) -> None:
        async for message in connection:
            heard.extend(b64decode(json.loads(message)["audio"]))
            if len(heard) == 9600:
                complete.set()
                await connection.send('{"type": "enough"}')

    async with serve(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", proxy=None) as connection:
            channel = Channel(connection, status=101, headers={})
            ended = await speak(channel, Clip(bytes(range(240)) * 40))
            await complete.wait()
            assert bytes(heard) == bytes(range(240)) * 40
            assert channel.sent == []
            later = await speak(channel, Clip.silence(30), stop_on="enough")
            assert ended <= later < ended + 10
            assert "enough" in channel.types


async def test_speaking_into_a_closed_channel_ends_at_once() -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.close(1013, "full")

    async with serve(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", proxy=None) as connection:
            channel = Channel(connection, status=101, headers={})
            async with asyncio.timeout(5):
                await speak(channel, Clip.silence(30))
            assert channel.close_code == 1013
