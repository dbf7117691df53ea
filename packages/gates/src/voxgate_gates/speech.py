"""A spoken turn: the clip, its pacing, and what must come back. Pure but for the one function that speaks."""

import asyncio
import io
import time
import wave
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Final

from voxgate_gates.channel import Channel

__all__ = ["Clip", "load_clip", "speak", "turn_facts"]

SAMPLE_RATE: Final = 24_000
"""Samples per second of ``audio/pcm`` in the Realtime protocol."""

SAMPLE_BYTES: Final = 2
CHUNK_SECONDS: Final = 0.04
"""Audio in one append, and the pace it goes out at: what a browser's worklet sends."""

CLIP: Final = "order.wav"


@dataclass(frozen=True, slots=True)
class Clip:
    """PCM16 little-endian, mono, 24 kHz."""

    pcm: bytes

    @property
    def seconds(self) -> float:
        return len(self.pcm) / (SAMPLE_RATE * SAMPLE_BYTES)

    def chunks(self) -> list[bytes]:
        """The audio in pieces of :data:`CHUNK_SECONDS`; the last may be shorter."""
        size = int(SAMPLE_RATE * CHUNK_SECONDS) * SAMPLE_BYTES
        return [self.pcm[start : start + size] for start in range(0, len(self.pcm), size)]

    @classmethod
    def silence(cls, seconds: float) -> "Clip":
        return cls(bytes(int(SAMPLE_RATE * seconds) * SAMPLE_BYTES))


def load_clip(name: str = CLIP) -> Clip:
    """Read a clip of this package. Raises ``ValueError`` when it is not PCM16 mono at 24 kHz."""
    data = files("voxgate_gates").joinpath("clips", name).read_bytes()
    with wave.open(io.BytesIO(data)) as recording:
        shape = (recording.getnchannels(), recording.getsampwidth(), recording.getframerate())
        if shape != (1, SAMPLE_BYTES, SAMPLE_RATE):
            raise ValueError(f"{name} is not PCM16 mono at {SAMPLE_RATE} Hz")
        return Clip(recording.readframes(recording.getnframes()))


async def speak(channel: Channel, clip: Clip, *, stop_on: str | None = None) -> float:
    """Append a clip at the pace of speech, reading what comes meanwhile; the monotonic second it ended at.

    Stops early once an event of type ``stop_on`` came, or the channel is closed.
    """
    due = time.monotonic()
    for chunk in clip.chunks():
        audio = b64encode(chunk).decode()
        await channel.send({"type": "input_audio_buffer.append", "audio": audio}, remember=False)
        due += CHUNK_SECONDS
        while channel.is_open and (left := due - time.monotonic()) > 0:
            await channel.receive(left)
        if not channel.is_open or (stop_on is not None and stop_on in channel.types):
            break
        # A late loop catches up by sending at once, as a browser's socket does; the pause lets others run.
        await asyncio.sleep(0)
    return time.monotonic()


def turn_facts(
    events: Sequence[tuple[float, Mapping[str, object]]], expected: Iterable[str], speech_ended: float
) -> dict[str, object]:
    """What a condition can ask about a turn.

    MISSING lists the expected event types that never came; IN_ORDER says whether the first of each came in the order
    given; FIRST_AUDIO_MS counts from the end of speech to the first audio delta; AUDIO_BYTES counts decoded audio;
    TRANSCRIPT is what was said; RESPONSE the last ``response.done``'s response. What never came is left out.
    """
    first_seen: dict[str, float] = {}
    for index, (_, event) in enumerate(events):
        first_seen.setdefault(str(event.get("type")), index)
    wanted = list(expected)
    seen = [first_seen[kind] for kind in wanted if kind in first_seen]
    facts: dict[str, object] = {
        "MISSING": [kind for kind in wanted if kind not in first_seen],
        "IN_ORDER": all(earlier < later for earlier, later in pairwise(seen)),
        "AUDIO_BYTES": sum(_audio_bytes(event) for _, event in events),
        "TRANSCRIPT": "".join(
            str(event.get("delta", ""))
            for _, event in events
            if event.get("type") == "response.output_audio_transcript.delta"
        ),
    }
    audio_at = [moment for moment, event in events if event.get("type") == "response.output_audio.delta"]
    if audio_at:
        facts["FIRST_AUDIO_MS"] = round((audio_at[0] - speech_ended) * 1000)
    done = [event.get("response") for _, event in events if event.get("type") == "response.done"]
    if done:
        facts["RESPONSE"] = done[-1]
    return facts


def _audio_bytes(event: Mapping[str, object]) -> int:
    if event.get("type") != "response.output_audio.delta":
        return 0
    try:
        return len(b64decode(str(event.get("delta", "")), validate=True))
    except ValueError:
        return 0
