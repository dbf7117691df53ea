"""What a model server says in one turn, held against the official client's models, and sinks that hear of it."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from voxgate_core import SESSION_ENDED, Event

USAGE = {"input_tokens": 30, "output_tokens": 12, "total_tokens": 42}
COMMIT = '{"type":"input_audio_buffer.commit"}'

_OFFICIAL: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def server_event(kind: str, **fields: object) -> bytes:
    """One message, once the official client would read it as what it says it is."""
    message = json.dumps({"type": kind, "event_id": "event_1", **fields}).encode()
    parsed = _OFFICIAL.validate_json(message, strict=True)
    assert parsed.type == kind
    assert not parsed.model_extra, f"{kind} has no {list(parsed.model_extra or ())}"
    return message


def speech_stopped(item_id: str = "item_u") -> bytes:
    return server_event("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id=item_id)


def committed(item_id: str = "item_u") -> bytes:
    return server_event("input_audio_buffer.committed", item_id=item_id)


def heard(text: str, item_id: str = "item_u") -> bytes:
    return server_event(
        "conversation.item.input_audio_transcription.completed",
        item_id=item_id,
        content_index=0,
        transcript=text,
        usage={"type": "duration", "seconds": 1.5},
    )


def created(response_id: str = "resp_1") -> bytes:
    response = {"id": response_id, "object": "realtime.response", "status": "in_progress", "output": []}
    return server_event("response.created", response=response)


def audio(response_id: str = "resp_1") -> bytes:
    return server_event("response.output_audio.delta", **_place(response_id), delta="AAAA")


def spoken(text: str, response_id: str = "resp_1") -> bytes:
    return server_event("response.output_audio_transcript.done", **_place(response_id), transcript=text)


def written(text: str, response_id: str = "resp_1") -> bytes:
    return server_event("response.output_text.done", **_place(response_id), text=text)


def item_done(item: dict[str, object], response_id: str = "resp_1") -> bytes:
    return server_event("response.output_item.done", response_id=response_id, output_index=0, item=item)


def call(arguments: str = '{"city":"Oslo"}', **changes: object) -> dict[str, object]:
    return {
        "id": "item_c",
        "type": "function_call",
        "object": "realtime.item",
        "status": "completed",
        "call_id": "call_1",
        "name": "weather",
        "arguments": arguments,
        **changes,
    }


def message_item(*content: dict[str, object], item_id: str = "item_a") -> dict[str, object]:
    return {
        "id": item_id,
        "type": "message",
        "object": "realtime.item",
        "status": "completed",
        "role": "assistant",
        "content": list(content),
    }


def done(
    *output: dict[str, object],
    response_id: str = "resp_1",
    status: str = "completed",
    usage: dict[str, int] | None = USAGE,
) -> bytes:
    response = {"id": response_id, "object": "realtime.response", "status": status, "output": output, "usage": usage}
    return server_event("response.done", response=response)


def whole_turn(number: int = 1) -> list[bytes]:
    """From the end of the user's speech to the end of the answer; the user's transcript comes late, as it may."""
    item_id, response_id = f"item_u{number}", f"resp_{number}"
    return [
        speech_stopped(item_id),
        committed(item_id),
        created(response_id),
        audio(response_id),
        audio(response_id),
        spoken("It rains.", response_id),
        done(message_item({"type": "output_audio", "transcript": "It rains."}), response_id=response_id),
        heard("How is the weather?", item_id),
    ]


def _place(response_id: str) -> dict[str, Any]:
    return {"response_id": response_id, "item_id": "item_a", "output_index": 0, "content_index": 0}


@dataclass
class KeptEvents:
    """A sink that keeps what it is given."""

    events: list[Event] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, event: Event) -> None:
        self.events.append(event)
        if event.type == SESSION_ENDED:
            self.ended.set()

    @property
    def kinds(self) -> list[str]:
        """The types, without the prefix they share."""
        return [event.type.removeprefix("voice.") for event in self.events]

    def data(self, kind: str) -> list[dict[str, object]]:
        return [dict(event.data) for event in self.events if event.type == kind]


@dataclass
class BrokenSink:
    """A sink that breaks its promise, every time."""

    asked: int = 0

    def publish(self, event: Event) -> None:
        self.asked += 1
        raise RuntimeError("a sink must not do this")
