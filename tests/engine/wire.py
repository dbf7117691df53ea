"""What the engine's tests share: the judge of server events, sounds, and two kinds of client."""

import base64
import json
import random
from array import array
from collections.abc import Iterable
from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter
from websockets.asyncio.client import ClientConnection

from voxgate_engine import Conversation, EngineSettings, Floor

Event = dict[str, Any]

_ADAPTER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def judge(text: str | bytes) -> Event:
    """The event, once it is known to be one of the official client's, with no field that client does not know."""
    event = json.loads(text)
    parsed = _ADAPTER.validate_json(text, strict=True)
    assert parsed.type == event["type"], f"{event['type']} was read as {parsed.type}"
    assert not list(unknown_fields(parsed)), f"{event['type']}: {list(unknown_fields(parsed))}"
    return dict(event)


def unknown_fields(value: object, path: str = "") -> Iterable[str]:
    """Paths of fields that the official models let through without knowing them."""
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from unknown_fields(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from unknown_fields(entry, f"{path}[{index}]")


def silence(ms: int, rate: int = 24_000) -> bytes:
    return bytes(2 * (ms * rate // 1000))


def noise(ms: int, peak: int = 8_000, rate: int = 24_000) -> bytes:
    """Loud as speech close to a microphone, and the same on every run."""
    dice = random.Random(7)
    return array("h", [dice.randint(-peak, peak) for _ in range(ms * rate // 1000)]).tobytes()


def text_of(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


def types_of(events: Iterable[Event]) -> list[str]:
    return [event["type"] for event in events]


def one(events: Iterable[Event], kind: str) -> Event:
    """The single event of a type."""
    found = [event for event in events if event["type"] == kind]
    assert len(found) == 1, f"{len(found)} of {kind} in {types_of(events)}"
    return found[0]


class Talk:
    """A client of a bare conversation: the clock is a number, and every event is judged as it comes."""

    def __init__(self, settings: EngineSettings | None = None, *, detection: Event | None = None) -> None:
        self.conversation = Conversation(settings or EngineSettings())
        self.now = 0.0
        self.opening = self._judged(self.conversation.open(self.now))
        if detection is None:
            self.update(audio={"input": {"turn_detection": None}})
        elif detection:
            self.update(audio={"input": {"turn_detection": detection}})

    def floor(self) -> Floor:
        return self.conversation.floor

    def _judged(self, events: list[Event]) -> list[Event]:
        return [judge(json.dumps(event)) for event in events]

    def raw(self, message: str | bytes) -> list[Event]:
        return self._judged(self.conversation.receive(message, self.now))

    def send(self, kind: str, **fields: object) -> list[Event]:
        return self.raw(json.dumps({"type": kind, **fields}))

    def refused(self, kind: str, **fields: object) -> Event:
        """Send what must be answered by one error and nothing else; its ``error`` object."""
        events = self.send(kind, **fields)
        assert types_of(events) == ["error"], types_of(events)
        return dict(events[0]["error"])

    def update(self, **session: object) -> list[Event]:
        events = self.send("session.update", session={"type": "realtime", **session})
        assert types_of(events) == ["session.updated"], events
        return events

    def append(self, audio: bytes) -> list[Event]:
        return self.send("input_audio_buffer.append", audio=text_of(audio))

    def say(self, text: str = "hello", **item: object) -> str:
        """Add a user's message; its id."""
        content = [{"type": "input_text", "text": text}]
        events = self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": content, **item}
        )
        return str(one(events, "conversation.item.added")["item"]["id"])

    def advance(self, seconds: float) -> list[Event]:
        """Let that much time pass, stopping wherever something is due."""
        end = self.now + seconds
        found: list[Event] = []
        while (due := self.conversation.due) is not None and due <= end:
            self.now = max(self.now, due)
            found += self._judged(self.conversation.advance(self.now))
        self.now = end
        return found

    def until(self, kind: str, seconds: float = 60.0) -> list[Event]:
        """Let time pass until an event of this type has come."""
        end = self.now + seconds
        found: list[Event] = []
        while kind not in types_of(found):
            due = self.conversation.due
            assert due is not None, f"nothing more is due, and no {kind} came"
            assert due <= end, f"no {kind} within {seconds} s"
            self.now = max(self.now, due)
            found += self._judged(self.conversation.advance(self.now))
        return found

    def respond(self, **response: object) -> list[Event]:
        """Ask for a response and let it run to its end."""
        return [*self.send("response.create", response=response), *self.until("response.done")]


async def send(socket: ClientConnection, kind: str, **fields: object) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def receive(socket: ClientConnection) -> Event:
    return judge(await socket.recv())


async def receive_until(socket: ClientConnection, kind: str) -> list[Event]:
    """Everything up to and including the first event of this type."""
    found = [await receive(socket)]
    while found[-1]["type"] != kind:
        found.append(await receive(socket))
    return found
