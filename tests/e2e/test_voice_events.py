"""What happens in a session reaches a webhook, in order, and also when the gateway is stopped over it."""

import asyncio
import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.fanout.receivers import Receiver
from tests.gateway.processes import Process, descendants_of, linux_only, started
from tests.gateway.rig import BEARER, PREVIEW, Served, close_code_of, served
from tests.helpers.envelope import assert_envelope
from voxgate_core import Event
from voxgate_fanout import decode_event
from voxgate_gates.speech import Clip, load_clip

SECONDS = 20.0


def settings(tmp_path: Path, url: str) -> dict[str, str]:
    """One target that wants voice events in the order of their sessions, and no stub."""
    file = tmp_path / "fanout.toml"
    file.write_text(
        f'[[target]]\nname = "hook"\nurl = "{url}"\nevents = ["voice.*"]\norder_by = "subject"\n'
        f'secret = "whsec_{"A" * 43}="\n',
        "utf-8",
    )
    more = {"VOXGATE_FANOUT_FILE": str(file), "VOXGATE_FANOUT_STUB": "off", "VOXGATE_FANOUT_ALLOW_NETS": "127.0.0.0/8"}
    return {**PREVIEW, **more}


async def token_of(http: httpx.AsyncClient) -> str:
    answer = await http.post("/api/realtime/token", json={"sub": "ada"}, headers=BEARER)
    return str(assert_envelope(answer)["token"])


async def opened(gateway: Served | Process, token: str) -> tuple[ClientConnection, str]:
    """A live session and its id."""
    client = await connect(f"{gateway.ws_url}/realtime", additional_headers={"Authorization": f"Bearer {token}"})
    session = json.loads(await client.recv())["sessionId"]
    await until(client, "session.created")
    return client, session


async def until(client: ClientConnection, kind: str) -> dict[str, Any]:
    """Read up to an event of this type."""
    async with asyncio.timeout(SECONDS):
        while (event := json.loads(await client.recv()))["type"] != kind:
            continue
    return dict(event)


async def say(client: ClientConnection, **event: object) -> None:
    await client.send(json.dumps(event))


async def typed_turn(client: ClientConnection, text: str) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await say(client, type="conversation.item.create", item=item)
    await say(client, type="response.create")
    await until(client, "response.done")


async def spoken_turn(client: ClientConnection) -> None:
    audio = {"input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "whisper-1"}}}
    await say(client, type="session.update", session={"type": "realtime", "audio": audio})
    for chunk in [*load_clip().chunks(), *Clip.silence(0.8).chunks()]:
        await say(client, type="input_audio_buffer.append", audio=base64.b64encode(chunk).decode())
    await until(client, "response.done")


def events_of(receiver: Receiver, session: str) -> list[Event]:
    """What came of one session, in the order it came; what came again is left out."""
    events = {request.headers["webhook-id"]: decode_event(request.body) for request in receiver.received}
    return [event for event in events.values() if event.subject == session]


async def whole(receiver: Receiver, session: str) -> list[Event]:
    """The same, once the session's end has come."""
    while not any(event.type == "voice.session.ended" for event in events_of(receiver, session)):
        await receiver.has_received(len(receiver.received) + 1)
    return events_of(receiver, session)


@pytest.mark.parametrize("spoken", [False, True], ids=["typed", "spoken"])
async def test_a_turn_is_told_from_its_sessions_start_to_its_end(spoken: bool, tmp_path: Path) -> None:
    async with Receiver() as receiver, served(settings(tmp_path, receiver.url)) as gateway:
        client, session = await opened(gateway, await token_of(gateway.http))
        await (spoken_turn(client) if spoken else typed_turn(client, "hello"))
        await client.close()
        events = await whole(receiver, session)
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-1]) == ("voice.session.started", "voice.session.ended")
    assert kinds.index("voice.transcript.completed") < kinds.index("voice.turn.completed")
    assert kinds.count("voice.turn.completed") == 1
    for event in events:
        assert event.data["sessionId"] == session
        assert event.data["sub"] == "ada"
    roles = {event.data["role"] for event in events if event.type == "voice.transcript.completed"}
    assert roles == ({"user", "assistant"} if spoken else {"assistant"})
    turn = next(event for event in events if event.type == "voice.turn.completed")
    assert turn.data["status"] == "completed"
    assert dict(turn.data["usage"])["totalTokens"] > 0  # type: ignore[call-overload]
    assert (events[-1].data["turns"], events[-1].data["code"]) == (1, 1000)


async def test_sessions_side_by_side_each_keep_their_order(tmp_path: Path) -> None:
    async with Receiver() as receiver, served(settings(tmp_path, receiver.url)) as gateway:
        sessions = [await opened(gateway, await token_of(gateway.http)) for _ in range(12)]

        async def talk(client: ClientConnection) -> None:
            for number in range(3):
                await typed_turn(client, f"turn {number}")
            await client.close()

        await asyncio.gather(*(talk(client) for client, _ in sessions))
        for _, session in sessions:
            events = await whole(receiver, session)
            kinds = [event.type for event in events]
            assert kinds[:1] + kinds[-1:] == ["voice.session.started", "voice.session.ended"]
            turns = [event.data["turn"] for event in events if event.type == "voice.turn.completed"]
            assert turns == [1, 2, 3]


@linux_only
@pytest.mark.parametrize(
    ("workers", "everyone"),
    [((), False), (("--workers", "2"), False), (("--workers", "2"), True)],
    ids=["one", "two", "everyone"],
)
async def test_a_stop_over_live_sessions_closes_them_1012_and_stores_their_ends(
    workers: tuple[str, ...], everyone: bool, tmp_path: Path
) -> None:
    """``everyone``: as service managers do it, which ask each process of a service to stop."""
    async with Receiver() as nobody:
        unreachable = nobody.url  # once it is closed
    data_dir = tmp_path / "data"
    async with (
        started(data_dir, *workers, environ=settings(tmp_path, unreachable)) as process,
        httpx.AsyncClient(base_url=process.url, trust_env=False) as http,
    ):
        sessions = [await opened(process, await token_of(http)) for _ in range(4)]
        for pid in descendants_of(process.pid) if everyone else ():
            os.kill(pid, signal.SIGTERM)
        process.send(signal.SIGTERM)
        assert [await close_code_of(client) for client, _ in sessions] == [1012] * 4
        assert (await process.ended())[0] == -signal.SIGTERM
    async with Receiver() as receiver, served(settings(tmp_path, receiver.url), data_dir=data_dir):
        for _, session in sessions:
            begun, ended = await whole(receiver, session)
            assert (begun.type, ended.type) == ("voice.session.started", "voice.session.ended")
            assert (ended.data["code"], ended.data["turns"]) == (1012, 0)
