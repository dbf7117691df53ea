"""Server events: one builder each, so that every shape the engine sends stands in this file. Pure.

Source: the server events of the GA Realtime API; the tests hold each against ``openai.types.realtime``.
"""

from collections.abc import Sequence

import msgspec

from voxgate_engine.faults import Fault
from voxgate_engine.items import Item
from voxgate_engine.session import SessionConfig

__all__ = [
    "Event",
    "Place",
    "argument_delta",
    "arguments_done",
    "audio_delta",
    "audio_done",
    "cleared",
    "committed",
    "error",
    "item_added",
    "item_deleted",
    "item_done",
    "item_retrieved",
    "item_truncated",
    "output_item_added",
    "output_item_done",
    "part_added",
    "part_done",
    "rate_limits",
    "response_created",
    "response_done",
    "session_created",
    "session_updated",
    "speech_started",
    "speech_stopped",
    "text_delta",
    "text_done",
    "timeout_triggered",
    "transcript_delta",
    "transcript_done",
    "transcription_completed",
    "transcription_delta",
]

Event = dict[str, object]
"""A server event but for its ``event_id``, which the conversation numbers."""


class Place(msgspec.Struct, frozen=True):
    """Where in a response a delta belongs."""

    response_id: str
    item_id: str
    output_index: int = 0
    content_index: int = 0

    def of_part(self) -> Event:
        return msgspec.structs.asdict(self)

    def of_item(self) -> Event:
        return {"response_id": self.response_id, "item_id": self.item_id, "output_index": self.output_index}


def session_created(session: SessionConfig) -> Event:
    return {"type": "session.created", "session": msgspec.to_builtins(session)}


def session_updated(session: SessionConfig) -> Event:
    return {"type": "session.updated", "session": msgspec.to_builtins(session)}


def error(fault: Fault, event_id: str | None) -> Event:
    return {
        "type": "error",
        "error": {
            "type": fault.kind,
            "code": fault.code,
            "message": fault.message,
            "param": fault.param,
            "event_id": event_id,
        },
    }


def speech_started(item_id: str, audio_start_ms: int) -> Event:
    return {"type": "input_audio_buffer.speech_started", "audio_start_ms": audio_start_ms, "item_id": item_id}


def speech_stopped(item_id: str, audio_end_ms: int) -> Event:
    return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": audio_end_ms, "item_id": item_id}


def timeout_triggered(item_id: str, audio_start_ms: int, audio_end_ms: int) -> Event:
    return {
        "type": "input_audio_buffer.timeout_triggered",
        "audio_start_ms": audio_start_ms,
        "audio_end_ms": audio_end_ms,
        "item_id": item_id,
    }


def committed(item_id: str, previous_item_id: str | None) -> Event:
    return {"type": "input_audio_buffer.committed", "previous_item_id": previous_item_id, "item_id": item_id}


def cleared() -> Event:
    return {"type": "input_audio_buffer.cleared"}


def item_added(item: Item, previous_item_id: str | None) -> Event:
    return {"type": "conversation.item.added", "previous_item_id": previous_item_id, "item": item.render()}


def item_done(item: Item, previous_item_id: str | None) -> Event:
    return {"type": "conversation.item.done", "previous_item_id": previous_item_id, "item": item.render()}


def item_retrieved(item: Item) -> Event:
    return {"type": "conversation.item.retrieved", "item": item.render(with_audio=True)}


def item_truncated(item_id: str, content_index: int, audio_end_ms: int) -> Event:
    return {
        "type": "conversation.item.truncated",
        "item_id": item_id,
        "content_index": content_index,
        "audio_end_ms": audio_end_ms,
    }


def item_deleted(item_id: str) -> Event:
    return {"type": "conversation.item.deleted", "item_id": item_id}


def transcription_delta(item_id: str, delta: str) -> Event:
    return {
        "type": "conversation.item.input_audio_transcription.delta",
        "item_id": item_id,
        "content_index": 0,
        "delta": delta,
    }


def transcription_completed(item_id: str, transcript: str, *, text: int, audio: int) -> Event:
    """``text`` and ``audio`` are tokens: what was written, and what was heard."""
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item_id,
        "content_index": 0,
        "transcript": transcript,
        "usage": {
            "type": "tokens",
            "total_tokens": text + audio,
            "input_tokens": audio,
            "output_tokens": text,
            "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
        },
    }


def response_created(response: Event) -> Event:
    return {"type": "response.created", "response": response}


def response_done(response: Event) -> Event:
    return {"type": "response.done", "response": response}


def rate_limits(limits: Sequence[tuple[str, int, int, float]]) -> Event:
    """``limits`` are rows of name, limit, what remains, and seconds until it is whole again."""
    rows = [
        {"name": name, "limit": limit, "remaining": remaining, "reset_seconds": seconds}
        for name, limit, remaining, seconds in limits
    ]
    return {"type": "rate_limits.updated", "rate_limits": rows}


def output_item_added(place: Place, item: Item) -> Event:
    return _output_item("added", place, item)


def output_item_done(place: Place, item: Item) -> Event:
    return _output_item("done", place, item)


def _output_item(phase: str, place: Place, item: Item) -> Event:
    return {
        "type": f"response.output_item.{phase}",
        "response_id": place.response_id,
        "output_index": place.output_index,
        "item": item.render(),
    }


def part_added(place: Place, part: Event) -> Event:
    return {"type": "response.content_part.added", **place.of_part(), "part": part}


def part_done(place: Place, part: Event) -> Event:
    return {"type": "response.content_part.done", **place.of_part(), "part": part}


def text_delta(place: Place, delta: str) -> Event:
    return {"type": "response.output_text.delta", **place.of_part(), "delta": delta}


def text_done(place: Place, text: str) -> Event:
    return {"type": "response.output_text.done", **place.of_part(), "text": text}


def transcript_delta(place: Place, delta: str) -> Event:
    return {"type": "response.output_audio_transcript.delta", **place.of_part(), "delta": delta}


def transcript_done(place: Place, transcript: str) -> Event:
    return {"type": "response.output_audio_transcript.done", **place.of_part(), "transcript": transcript}


def audio_delta(place: Place, delta: str) -> Event:
    """``delta`` is base64 in the response's output format."""
    return {"type": "response.output_audio.delta", **place.of_part(), "delta": delta}


def audio_done(place: Place) -> Event:
    return {"type": "response.output_audio.done", **place.of_part()}


def argument_delta(place: Place, call_id: str, delta: str) -> Event:
    return {"type": "response.function_call_arguments.delta", **place.of_item(), "call_id": call_id, "delta": delta}


def arguments_done(place: Place, call_id: str, name: str, arguments: str) -> Event:
    return {
        "type": "response.function_call_arguments.done",
        **place.of_item(),
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }
