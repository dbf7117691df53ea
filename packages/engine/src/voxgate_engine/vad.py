"""Voice activity by energy: pure, and counted in samples, never in wall time.

The rules. Audio is cut into frames of 20 ms. A frame's score is its level, with any constant offset
removed, on a scale where -60 dBFS is 0 and -20 dBFS is 1; it is loud when the score reaches the threshold.
Speech starts with three loud frames in a row, and is dated from the first of them less the padding. It
stops when the quiet frames in a row last as long as the silence, and is dated at the end of that silence,
as the API's ``audio_end_ms`` is.
"""

import math
import sys
from array import array
from dataclasses import dataclass
from operator import mul

__all__ = ["EnergyVad", "SpeechStarted", "SpeechStopped", "score_of"]

FRAMES_PER_SECOND = 50
ONSET_FRAMES = 3
"""Loud frames in a row that make speech: a click of the tongue or of a switch is shorter."""

_SILENT_DBFS = -60.0
_FULL_DBFS = -20.0
_FULL_SCALE = 32_768.0


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began; ``sample`` is where its audio starts, padding included, counted from the stream's start."""

    sample: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Speech ended; ``sample`` is just past the silence that ended it."""

    sample: int


def score_of(frame: "array[int]") -> float:
    """How loud PCM16 samples are, from 0.0 (silence) to 1.0 (speech close to the microphone)."""
    count = len(frame)
    mean = sum(frame) / count
    power = sum(map(mul, frame, frame)) / count - mean * mean
    if power < 1.0:
        return 0.0
    dbfs = 10 * math.log10(power) - 20 * math.log10(_FULL_SCALE)
    return min(1.0, max(0.0, (dbfs - _SILENT_DBFS) / (_FULL_DBFS - _SILENT_DBFS)))


class EnergyVad:
    """Finds speech in one PCM16 mono stream. ``rate`` is samples a second, durations milliseconds."""

    def __init__(
        self,
        *,
        rate: int = 24_000,
        threshold: float = 0.5,
        prefix_padding_ms: int = 300,
        silence_duration_ms: int = 500,
        position: int = 0,
    ) -> None:
        self._frame_samples = rate // FRAMES_PER_SECOND
        self._threshold = threshold
        self._padding = prefix_padding_ms * rate // 1000
        self._silence = silence_duration_ms * rate // 1000
        self._pending = bytearray()
        self._position = position
        self._earliest = position
        self._loud = 0
        self._quiet = 0
        self.speaking = False

    def receive(self, pcm: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Take more of the stream, whole samples in any amount, and say what began or ended in it."""
        self._pending += pcm
        found: list[SpeechStarted | SpeechStopped] = []
        size = 2 * self._frame_samples
        whole = len(self._pending) // size * size
        samples = array("h")
        samples.frombytes(bytes(self._pending[:whole]))
        if sys.byteorder == "big":
            samples.byteswap()
        del self._pending[:whole]
        for start in range(0, len(samples), self._frame_samples):
            self._position += self._frame_samples
            change = self._judge(score_of(samples[start : start + self._frame_samples]))
            if change is not None:
                found.append(change)
        return found

    def reset(self, position: int) -> None:
        """Forget what was heard; the stream goes on at ``position``, and no later speech starts before it."""
        self._pending.clear()
        self._position = self._earliest = position
        self._loud = self._quiet = 0
        self.speaking = False

    def _judge(self, score: float) -> SpeechStarted | SpeechStopped | None:
        loud = score > 0 and score >= self._threshold
        if self.speaking:
            self._quiet = 0 if loud else self._quiet + self._frame_samples
            if self._quiet and self._quiet >= self._silence:
                self._loud = self._quiet = 0
                self.speaking = False
                self._earliest = self._position
                return SpeechStopped(self._position)
            return None
        self._loud = self._loud + 1 if loud else 0
        if self._loud < ONSET_FRAMES:
            return None
        self.speaking = True
        self._quiet = 0
        onset = self._position - self._loud * self._frame_samples
        return SpeechStarted(max(self._earliest, onset - self._padding))
