"""The WebSocket half of the fake gateway: admission, a model server of a few lines, and the lies about both."""

import asyncio
import contextlib
import json
import time
from array import array
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Upgrade
from websockets.server import ServerProtocol

from tests.gates.fake_tokens import verify

if TYPE_CHECKING:
    from tests.gates.fake_gateway import FakeGateway

__all__ = ["Kept", "Live", "converse"]

MAX_MESSAGE = 16 * 1024 * 1024
LOUD = 600
SILENCE_MS = 500


@dataclass
class Live:
    """One admitted session."""

    revoked: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Kept:
    """What a session leaves behind for the client that comes back: whose it is, and what both sides said."""

    subject: object
    events: list[Mapping[str, object]] = field(default_factory=list)
    received: int = 0

    def since(self, event_id: str) -> list[Mapping[str, object]] | None:
        ids = [event["event_id"] for event in self.events]
        return self.events[ids.index(event_id) + 1 :] if event_id in ids else None


class Refused(Exception):
    def __init__(self, close_code: int, code: str) -> None:
        self.close_code = close_code
        self.code = code
        super().__init__(code)


class Wire:
    """Frames over a stream pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: ServerProtocol) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = protocol
        self.kept = Kept("")

    def say(self, event: Mapping[str, object]) -> None:
        """Send an event of the model server's, and keep it."""
        numbered = {**event, "event_id": f"event_{len(self.kept.events)}"}
        self.kept.events.append(numbered)
        self.send(numbered)

    def flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)

    def send(self, event: Mapping[str, object]) -> None:
        self._protocol.send_text(json.dumps(event).encode())
        self.flush()

    async def close(self, code: int, reason: str) -> None:
        self._protocol.send_close(code, reason)
        self.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                async for _ in self.messages():
                    continue

    async def messages(self) -> AsyncIterator[tuple[bool, bytes]]:
        """``(is_text, payload)`` until the client is gone."""
        while True:
            for frame in self._protocol.events_received():
                if isinstance(frame, Frame) and frame.opcode in (Opcode.TEXT, Opcode.BINARY):
                    yield frame.opcode is Opcode.TEXT, bytes(frame.data)
            if self._protocol.close_expected():
                return
            data = await self._reader.read(1 << 16)
            if not data:
                return
            self._protocol.receive_data(data)
            self.flush()


async def converse(
    gateway: "FakeGateway",
    path: str,
    headers: Mapping[str, str],
    head: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Serve one WebSocket from its upgrade to its end."""

    def choose(_: ServerProtocol, offered: object) -> object:
        names = list(offered) if isinstance(offered, list | tuple) else []
        wanted = 1 if gateway.lies_about("echo-credential") else 0
        return names[wanted] if names and not gateway.lies_about("no-subprotocol") else None

    protocol = ServerProtocol(max_size=None, select_subprotocol=choose)  # type: ignore[arg-type] # a plain function
    wire = Wire(reader, writer, protocol)
    protocol.receive_data(head)
    upgrade = next(event for event in protocol.events_received() if isinstance(event, Upgrade))
    is_native = path.startswith("/realtime")
    credential = _credential(gateway, path, headers)
    if not gateway.admits(headers.get("origin")) and not gateway.lies_about("socket-any-origin"):
        protocol.send_response(protocol.reject(403, "origin refused"))
        wire.flush()
        return
    if credential is None and not is_native and gateway.lies_about("close-before-accept"):
        protocol.send_response(protocol.reject(403, "no credential"))
        wire.flush()
        return
    protocol.send_response(protocol.accept(upgrade))
    wire.flush()
    messages = wire.messages()
    try:
        if credential is None:
            credential = await _first_message(gateway, is_native, messages)
        claims = _judge(gateway, credential, headers.get("origin"))
        await _session(gateway, wire, claims, is_native, messages, path)
    except Refused as refused:
        await messages.aclose()  # type: ignore[attr-defined] # an async generator, whatever its annotation says
        if not gateway.lies_about("no-error-event"):
            wire.send({"type": "error", "error": {"type": "auth", "code": refused.code, "message": "refused"}})
        code = 1008 if gateway.lies_about("close-1008") else refused.close_code
        await wire.close(code, "" if gateway.lies_about("no-reason") else refused.code)


def _credential(gateway: "FakeGateway", path: str, headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme == "Bearer":
        return token
    if "api-key" in headers and not gateway.lies_about("no-api-key"):
        return headers["api-key"]
    for name in headers.get("sec-websocket-protocol", "").split(","):
        if name.strip().startswith("openai-insecure-api-key."):
            return name.strip().partition(".")[2]
    if gateway.lies_about("query-token") and "token=" in path:
        return path.partition("token=")[2].partition("&")[0]
    return None


async def _first_message(gateway: "FakeGateway", is_native: bool, messages: AsyncIterator[tuple[bool, bytes]]) -> str:
    if not is_native or gateway.lies_about("no-first-message"):
        raise Refused(4001, "credential_missing")
    try:
        async with asyncio.timeout(0.1 if gateway.lies_about("silent-at-once") else gateway.credential_seconds):
            _, payload = await anext(messages)
    except (TimeoutError, StopAsyncIteration):
        raise Refused(1000 if gateway.lies_about("silent-1000") else 4001, "credential_timeout") from None
    return str(json.loads(payload)["token"])


def _judge(gateway: "FakeGateway", token: str, origin: str | None) -> Mapping[str, object]:
    if token.startswith("garbage") and gateway.lies_about("garbage-4001"):
        raise Refused(4001, "credential_missing")
    claims = verify(gateway.secret, token, check_signature=not gateway.lies_about("unsigned"))
    if claims is None:
        raise Refused(4003, "credential_invalid")
    if int(str(claims["exp"])) <= time.time() and not gateway.lies_about("no-expiry"):
        raise Refused(4003, "token_expired")
    if claims["origin"] != origin and not gateway.lies_about("any-token-origin"):
        raise Refused(4003, "token_wrong_origin")
    if claims["jti"] in gateway.spent and not gateway.lies_about("replay"):
        raise Refused(4003, "token_replayed")
    gateway.spent.add(claims["jti"])
    return claims


async def _session(
    gateway: "FakeGateway",
    wire: Wire,
    claims: Mapping[str, object],
    is_native: bool,
    messages: AsyncIterator[tuple[bool, bytes]],
    path: str,
) -> None:
    live = gateway.live[claims["sid"]] = Live()
    session_id, missed = _resumed(gateway, path, claims)
    wire.kept = gateway.kept.setdefault(session_id, Kept(claims["sub"]))
    announcement: dict[str, object] = {
        "type": "auth_success",
        "sessionId": session_id,
        "resumed": (missed is not None and session_id != claims["sid"]) or gateway.lies_about("announces-resumed"),
        "expiresAt": "soon" if gateway.lies_about("announces-soon") else claims["exp"],
        "received": 0 if gateway.lies_about("forgets-received") else wire.kept.received,
    }
    created: dict[str, object] = {"type": "session.created", "session": {"type": "realtime"}}
    announces = is_native or gateway.lies_about("announce-everywhere")
    if announces and not gateway.lies_about("late-announcement"):
        wire.send(announcement)
    if missed is None:
        wire.say(created)
    for event in (missed or [])[1 if gateway.lies_about("replays-with-a-hole") else 0 :]:
        wire.send(event)
    if announces and gateway.lies_about("late-announcement"):
        wire.send(announcement)
    talking = asyncio.create_task(_talk(gateway, wire, messages))
    revoked = asyncio.create_task(live.revoked.wait())
    gone = asyncio.create_task(live.gone.wait())
    try:
        await asyncio.wait((talking, revoked, gone), return_when=asyncio.FIRST_COMPLETED)
        if revoked.done():
            raise Refused(1000 if gateway.lies_about("revoked-1000") else 4003, "token_revoked")
        if talking.done():
            talking.result()
    finally:
        for task in (talking, revoked, gone):
            task.cancel()
        await asyncio.gather(talking, revoked, gone, return_exceptions=True)
        del gateway.live[claims["sid"]]


def _resumed(
    gateway: "FakeGateway", path: str, claims: Mapping[str, object]
) -> tuple[object, list[Mapping[str, object]] | None]:
    """The session's id, and what its client missed where it is resumed."""
    query = parse_qs(urlsplit(path).query)
    [wanted], [last] = query.get("resume", [""]), query.get("last_event_id", [""])
    kept = gateway.kept.get(wanted)
    if kept is None or gateway.lies_about("forgets-sessions"):
        return claims["sid"], None
    if kept.subject != claims["sub"] and not gateway.lies_about("resumes-for-anybody"):
        return claims["sid"], kept.since(last) if gateway.lies_about("tells-strangers") else None
    missed = kept.since(last)
    if missed is None and gateway.lies_about("resumes-in-part"):
        missed = []
    return (claims["sid"] if missed is None else wanted), missed


async def _talk(gateway: "FakeGateway", wire: Wire, messages: AsyncIterator[tuple[bool, bytes]]) -> None:
    model = Model(gateway, wire)
    async for is_text, payload in messages:
        if not is_text:
            raise Refused(1000 if gateway.lies_about("binary-1000") else 1003, "binary_refused")
        if len(payload) > MAX_MESSAGE:
            raise Refused(1000 if gateway.lies_about("oversize-1000") else 1009, "message_too_large")
        try:
            event = json.loads(payload)
        except ValueError:
            raise Refused(1011 if gateway.lies_about("json-1011") else 1007, "invalid_message") from None
        wire.kept.received += 1
        model.hear(event)


class Model:
    """A model server that answers every sentence with the same one."""

    def __init__(self, gateway: "FakeGateway", wire: Wire) -> None:
        self._gateway = gateway
        self._wire = wire
        self._has_vad = False
        self._is_speech = False
        self._silent_ms = 0.0

    def hear(self, event: Mapping[str, object]) -> None:
        match event:
            case {"type": "session.update", "session": {"audio": {"input": {"turn_detection": detection}}}}:
                self._has_vad = detection is not None
                self._wire.say({"type": "session.updated", "session": event["session"]})
            case {"type": "session.update"}:
                self._wire.say({"type": "session.updated", "session": event.get("session")})
            case {"type": "input_audio_buffer.append", "audio": str(audio)} if self._has_vad:
                self._detect(b64decode(audio))
            case {"type": "input_audio_buffer.commit"} if not self._gateway.lies_about("no-commit-event"):
                self._wire.say({"type": "input_audio_buffer.committed", "item_id": "item_1"})
            case {"type": "response.create"}:
                self._respond()

    def _detect(self, pcm: bytes) -> None:
        samples = array("h", pcm)
        is_loud = max(map(abs, samples), default=0) > LOUD
        if is_loud and not self._is_speech:
            self._is_speech = True
            if not self._gateway.lies_about("no-speech-started"):
                self._wire.say({"type": "input_audio_buffer.speech_started"})
        self._silent_ms = 0.0 if is_loud else self._silent_ms + len(samples) / 24
        if self._is_speech and self._silent_ms >= SILENCE_MS and not self._gateway.lies_about("endless-speech"):
            self._is_speech = False
            self._wire.say({"type": "input_audio_buffer.speech_stopped"})
            self._wire.say({"type": "input_audio_buffer.committed", "item_id": "item_1"})
            self._respond()

    def _respond(self) -> None:
        lies = self._gateway.lies_about
        self._wire.say({"type": "response.created", "response": {"status": "in_progress"}})
        if not lies("no-transcript"):
            self._wire.say({"type": "response.output_audio_transcript.delta", "delta": "It is on its way."})
        if not lies("silent-answer"):
            self._wire.say({"type": "response.output_audio.delta", "delta": b64encode(bytes(960)).decode()})
        status = "failed" if lies("failed-response") else "completed"
        self._wire.say({"type": "response.done", "response": {"status": status}})
