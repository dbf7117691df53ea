"""Whole spoken turns through the real gateway: the official client on one side, the engine on the other."""

import base64
import time

from openai import AsyncOpenAI

from tests.gateway.rig import OPERATOR_KEY, served
from voxgate_gates.speech import Clip, load_clip

MODEL = "gpt-realtime-2.1"


async def test_the_official_client_speaks_a_whole_turn_by_changing_base_url_and_key() -> None:
    async with served() as gateway:
        client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=f"ek_{await gateway.token(sub='ada')}")
        audio, transcript, kinds = b"", "", []
        async with client, client.realtime.connect(model=MODEL) as connection:
            await connection.session.update(
                session={"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
            )
            for chunk in [*load_clip().chunks(), *Clip.silence(0.8).chunks()]:
                await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
            async for event in connection:
                kinds.append(event.type)
                if event.type == "response.output_audio.delta":
                    audio += base64.b64decode(event.delta)
                elif event.type == "response.output_audio_transcript.delta":
                    transcript += event.delta
                elif event.type == "response.done":
                    break
        in_order = [
            "session.created",
            "session.updated",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "response.created",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.done",
        ]
        assert [kind for kind in dict.fromkeys(kinds) if kind in in_order] == in_order
        assert "auth_success" not in kinds
        assert len(audio) > 24_000  # half a second of PCM16 at 24 kHz
        assert transcript.strip()


async def test_the_official_client_speaks_by_push_to_talk() -> None:
    async with served() as gateway:
        client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=await gateway.token(sub="ada"))
        async with client, client.realtime.connect(model=MODEL) as connection:
            await connection.session.update(
                session={"type": "realtime", "audio": {"input": {"turn_detection": None}}}
            )  # fmt: skip
            for chunk in load_clip().chunks():
                await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
            await connection.input_audio_buffer.commit()
            await connection.response.create()
            asked = time.monotonic()
            first_audio = None
            async for event in connection:
                assert event.type != "input_audio_buffer.speech_started"
                if event.type == "response.output_audio.delta" and first_audio is None:
                    first_audio = time.monotonic() - asked
                if event.type == "response.done":
                    assert event.response.status == "completed"
                    assert event.response.usage is not None
                    break
            assert first_audio is not None


async def test_a_token_from_client_secrets_opens_the_official_client() -> None:
    async with served() as gateway:
        operator = {"Authorization": f"Bearer {OPERATOR_KEY}"}
        body = {"session": {"type": "realtime", "model": MODEL}}
        secret = (await gateway.http.post("/v1/realtime/client_secrets", json=body, headers=operator)).json()
        client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=secret["value"])
        for _ in range(2):  # on this path a token may be used again, as its clients expect
            async with client.realtime.connect(model=MODEL) as connection:
                assert (await connection.recv()).type == "session.created"
        await client.close()
