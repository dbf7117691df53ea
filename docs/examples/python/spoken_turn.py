"""One spoken turn: ask with a WAV file (24 kHz, mono, 16 bit), hear the answer, keep it as answer.wav.

Needs `pip install httpx websockets`:
KEY=vk_… python spoken_turn.py http://127.0.0.1:8080 question.wav
"""

import asyncio
import base64
import json
import os
import sys
import wave

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

RATE = 24_000


async def main(gateway: str, question: str) -> None:
    headers = {"Authorization": f"Bearer {os.environ['KEY']}"}
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{gateway}/api/realtime/token", headers=headers, json={"sub": "quickstart"})
    if answer.status_code != 200:
        raise SystemExit(f"no token: {answer.status_code} {answer.text}")
    token = answer.json()["data"]["token"]
    with wave.open(question, "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2), "24 kHz, mono, 16 bit"
        audio = file.readframes(file.getnframes())
    heard, said = bytearray(), ""
    url = f"{gateway.replace('http', 'ws', 1)}/realtime"
    async with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as session:

        async def send(kind: str, **fields: object) -> None:
            await session.send(json.dumps({"type": kind, **fields}))

        # Push-to-talk: we say where the speech ends, and ask for the answer.
        manual = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await send("session.update", session=manual)
        for start in range(0, len(audio), RATE // 5):  # a tenth of a second each
            await send("input_audio_buffer.append", audio=base64.b64encode(audio[start : start + RATE // 5]).decode())
        await send("input_audio_buffer.commit")
        await send("response.create")
        async for message in session:
            event = json.loads(message)
            if event["type"] == "response.output_audio.delta":
                heard += base64.b64decode(event["delta"])
            elif event["type"] == "response.output_audio_transcript.delta":
                said += event["delta"]
            elif event["type"] == "error":
                raise SystemExit(event["error"]["message"])
            elif event["type"] == "response.done":
                break
    with wave.open("answer.wav", "wb") as spoken:
        spoken.setnchannels(1)
        spoken.setsampwidth(2)
        spoken.setframerate(RATE)
        spoken.writeframes(bytes(heard))
    print(f"{said}\nanswer.wav: {len(heard) / 2 / RATE:.1f} s")


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:3]))
    except (httpx.TransportError, WebSocketException, OSError) as error:
        raise SystemExit(f"no turn with {sys.argv[1]}: {error}") from None
