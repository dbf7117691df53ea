"""Transcripts of what the user said: from a script, a moment after the audio was committed. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from voxgate_engine import events
from voxgate_engine.events import Event
from voxgate_engine.items import ItemStore
from voxgate_engine.usage import INPUT_AUDIO_TOKEN_MS, audio_tokens, text_tokens
from voxgate_engine.voices import Script, split_words

__all__ = ["TRANSCRIPTION_SECONDS", "Transcriber"]

TRANSCRIPTION_SECONDS = 0.02
"""From a committed buffer to its transcript, which the API too sends beside the response."""


@dataclass(frozen=True, slots=True)
class _Job:
    due: float
    item_id: str
    transcript: str
    audio_ms: int


class Transcriber:
    """Reads its sentences out in turn, one for each item it is asked for."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self._script = Script(sentences)
        self._jobs: deque[_Job] = deque()

    @property
    def due(self) -> float | None:
        """When the next transcript is ready."""
        return self._jobs[0].due if self._jobs else None

    def ask(self, item_id: str, audio_ms: int, now: float) -> None:
        """Transcribe an item of that many milliseconds."""
        self._jobs.append(_Job(now + TRANSCRIPTION_SECONDS, item_id, self._script.take(), audio_ms))

    def advance(self, now: float, items: ItemStore) -> list[Event]:
        """The transcripts that are ready by ``now``, written into their items. Deleted items are passed over."""
        found: list[Event] = []
        while self._jobs and self._jobs[0].due <= now:
            job = self._jobs.popleft()
            item = items.get(job.item_id)
            if item is None or not any(part.kind == "input_audio" for part in item.parts[:1]):
                continue  # it was deleted, and its id may be another's by now
            item.parts[0].transcript = job.transcript
            found += [events.transcription_delta(job.item_id, word) for word in split_words(job.transcript)]
            heard = audio_tokens(job.audio_ms, INPUT_AUDIO_TOKEN_MS)
            written = text_tokens(job.transcript)
            found.append(events.transcription_completed(job.item_id, job.transcript, text=written, audio=heard))
        return found
