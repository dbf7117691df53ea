"""What whole turns look like: the sound of one, and the events of each of its stages."""

from typing import Any

from tests.engine.wire import Talk, noise, silence
from voxgate_engine import EngineSettings

TURN = silence(400) + noise(600) + silence(500)
"""A spoken turn that the default turn detection takes from 100 to 1,500 ms."""

AUDIO_EVENTS = {"response.output_audio_transcript.delta", "response.output_audio.delta"}

HEARD = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
STARTED = [
    "response.created",
    "rate_limits.updated",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
FINISHED = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def listening(settings: EngineSettings | None = None, **detection: Any) -> Talk:
    return Talk(settings, detection={"type": "server_vad", **detection})
