"""One response as it is produced: which delta is due when, and what has been said so far. Pure.

A response speaks word by word. A word's transcript delta and its first audio leave together, at the pace of
the plan; nothing here reads a clock.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field

from voxgate_engine import events
from voxgate_engine.events import Event, Place
from voxgate_engine.input_buffer import Codec
from voxgate_engine.items import Item, Part
from voxgate_engine.usage import OUTPUT_AUDIO_TOKEN_MS, Tokens, audio_tokens, text_tokens, usage_of
from voxgate_engine.voices import split_words, word_audio

__all__ = ["Generation", "Plan"]

AUDIO_CHUNK_MS = 100
"""The longest audio delta."""

TEXT_STEP_MS = 40
"""Between two deltas of text or of arguments, before the pace is applied."""

ARGUMENT_CHUNK_CHARS = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """What one response will be. ``tool_name`` set means a function call, else ``text`` is said or written.

    ``conversation_id`` is ``None`` for a response out of band. ``given`` and ``cached`` are its input tokens.
    ``pace`` is seconds of audio per second, ``delay`` the seconds before the first delta.
    """

    response_id: str
    item_id: str
    conversation_id: str | None
    modality: str
    codec: Codec
    audio_shown: Event
    max_output_tokens: int | str
    pace: float
    delay: float
    text: str = ""
    speed: float = 1.0
    tool_name: str | None = None
    call_id: str = ""
    arguments: str = ""
    metadata: dict[str, str] | None = None
    given: Tokens = field(default_factory=Tokens)
    cached: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class _Step:
    at: float
    text: str = ""
    audio: bytes = b""


class Generation:
    """A running response. ``started`` is the time of ``response.created``, in seconds of any steady clock."""

    def __init__(self, plan: Plan, started: float) -> None:
        self.plan = plan
        self.place = Place(plan.response_id, plan.item_id)
        self.item = _opening_item(plan)
        self.outcome: tuple[str, str | None] | None = None
        """Status and reason once the last delta has left, or the token limit was met."""
        self._first_at = started + plan.delay
        steps = _argument_steps(plan) if plan.tool_name is not None else _speech_steps(plan)
        self._steps = (_Step(self._first_at + step.at / plan.pace, step.text, step.audio) for step in steps)
        self._next: _Step | None = next(self._steps, None)

    @property
    def due(self) -> float | None:
        """When the next delta leaves; ``None`` after the last."""
        return self._next.at if self._next is not None else None

    @property
    def playback_ends(self) -> float:
        """When a client that plays at once has heard all the audio sent so far."""
        return self._first_at + self.item.audio_ms / 1000

    @property
    def produced(self) -> Tokens:
        """Output tokens so far."""
        if self.plan.tool_name is not None:
            return Tokens(text_tokens(self.plan.tool_name + self.item.arguments))
        part = self.item.parts[0]
        return self._tokens(part.text or part.transcript or "", part.audio_ms)

    def begin(self) -> list[Event]:
        """The event that opens the content part, where there is one."""
        return [] if self.plan.tool_name is not None else [events.part_added(self.place, self._part_shown())]

    def advance(self, now: float, limit: int) -> list[Event]:
        """At most ``limit`` deltas that are due by ``now``; sets :attr:`outcome` when none is left."""
        found: list[Event] = []
        while self._next is not None and self._next.at <= now and len(found) < limit:
            if self._exceeds(self._next):
                self._next, self.outcome = None, ("incomplete", "max_output_tokens")
                return found
            found.append(self._apply(self._next))
            self._next = next(self._steps, None)
        if self._next is None and self.outcome is None:
            self.outcome = ("completed", None)
        return found

    def close(self, status: str) -> list[Event]:
        """The ``done`` events of what is open; the item takes its final status."""
        self._next = None
        self.item.status = "completed" if status == "completed" else "incomplete"
        plan = self.plan
        if plan.tool_name is not None:
            return [events.arguments_done(self.place, plan.call_id, plan.tool_name, self.item.arguments)]
        part = self.item.parts[0]
        if plan.modality == "text":
            done = [events.text_done(self.place, part.text)]
        else:
            done = [events.audio_done(self.place), events.transcript_done(self.place, part.transcript or "")]
        return [*done, events.part_done(self.place, self._part_shown())]

    def describe(self, status: str, reason: str | None = None) -> Event:
        """The response object: in progress without output, else with its item and its usage."""
        plan = self.plan
        finished = status != "in_progress"
        details = {"type": status, "reason": reason} if reason is not None else None
        return {
            "object": "realtime.response",
            "id": plan.response_id,
            "status": status,
            "status_details": details,
            "output": [self.item.render()] if finished else [],
            "conversation_id": plan.conversation_id,
            "output_modalities": [plan.modality],
            "max_output_tokens": plan.max_output_tokens,
            "audio": {"output": plan.audio_shown},
            "usage": usage_of(plan.given, plan.cached, self.produced) if finished else None,
            "metadata": plan.metadata,
        }

    def _apply(self, step: _Step) -> Event:
        if self.plan.tool_name is not None:
            self.item.arguments += step.text
            return events.argument_delta(self.place, self.plan.call_id, step.text)
        part = self.item.parts[0]
        if step.audio:
            if self.plan.conversation_id is not None:  # out of band there is nothing to retrieve it from
                part.audio += step.audio
            part.audio_ms += self.plan.codec.milliseconds(len(step.audio))
            return events.audio_delta(self.place, base64.b64encode(step.audio).decode())
        if self.plan.modality == "text":
            part.text += step.text
            return events.text_delta(self.place, step.text)
        part.transcript = (part.transcript or "") + step.text
        return events.transcript_delta(self.place, step.text)

    def _exceeds(self, step: _Step) -> bool:
        limit = self.plan.max_output_tokens
        if isinstance(limit, str):
            return False
        if self.plan.tool_name is not None:
            return text_tokens(self.plan.tool_name + self.item.arguments + step.text) > limit
        part = self.item.parts[0]
        longer_ms = part.audio_ms + self.plan.codec.milliseconds(len(step.audio))
        return self._tokens((part.text or part.transcript or "") + step.text, longer_ms).total > limit

    def _tokens(self, text: str, audio_ms: int) -> Tokens:
        return Tokens(text_tokens(text), audio_tokens(audio_ms, OUTPUT_AUDIO_TOKEN_MS))

    def _part_shown(self) -> Event:
        part = self.item.parts[0]
        if self.plan.modality == "text":
            return {"type": "text", "text": part.text}
        return {"type": "audio", "transcript": part.transcript or ""}


def _opening_item(plan: Plan) -> Item:
    if plan.tool_name is not None:
        return Item(plan.item_id, "function_call", "in_progress", name=plan.tool_name, call_id=plan.call_id)
    part = Part("output_text") if plan.modality == "text" else Part("output_audio", transcript="")
    return Item(plan.item_id, "message", "in_progress", role="assistant", parts=[part])


def _speech_steps(plan: Plan) -> Iterator[_Step]:
    """Steps at the seconds of audio that precede them, before the pace is applied."""
    codec = plan.codec
    chunk = AUDIO_CHUNK_MS * codec.rate // 1000 * codec.width
    position = 0.0
    for word in split_words(plan.text):
        yield _Step(position, text=word)
        if plan.modality == "text":
            position += TEXT_STEP_MS / 1000
            continue
        audio = codec.encode(word_audio(word, rate=codec.rate, speed=plan.speed))
        for start in range(0, len(audio), chunk):
            piece = audio[start : start + chunk]
            yield _Step(position, audio=piece)
            position += len(piece) / (codec.width * codec.rate)


def _argument_steps(plan: Plan) -> Iterator[_Step]:
    for index, start in enumerate(range(0, len(plan.arguments), ARGUMENT_CHUNK_CHARS)):
        yield _Step(index * TEXT_STEP_MS / 1000, text=plan.arguments[start : start + ARGUMENT_CHUNK_CHARS])
