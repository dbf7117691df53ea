"""A voice made of notes: one soft tone a word, as PCM16 little-endian mono.

It takes no model and no dependency, and sounds gentle enough to leave on in a demonstration: the notes
are of a pentatonic scale, and each rises and falls without a click.
"""

import math
import sys
import zlib
from array import array
from functools import lru_cache

__all__ = ["PCM_RATE", "word_audio", "word_ms"]

PCM_RATE = 24_000
"""Samples a second of ``audio/pcm``."""

_SCALE_HZ = (196.0, 220.0, 246.9, 293.7, 329.6, 392.0)
_PEAK = 6_000
_EDGE_MS = 15
_BASE_MS = 140
_MS_PER_LETTER = 40
_LONGEST_LETTERS = 12
_PAUSE_MS = {".": 180, "?": 180, "!": 180, ",": 100, ";": 100, ":": 100}
_GAP_MS = 40
_NOTES_KEPT = 256


def word_ms(word: str, speed: float = 1.0) -> int:
    """Milliseconds a word takes, the pause after it included. ``speed`` is a multiple of the usual pace."""
    return round((_sounding_ms(word) + _pause_ms(word)) / speed)


def word_audio(word: str, *, rate: int = PCM_RATE, speed: float = 1.0) -> bytes:
    """One word as PCM16 at ``rate`` samples a second, its pause included; always :func:`word_ms` long."""
    total = word_ms(word, speed) * rate // 1000
    sounding = min(total, round(_sounding_ms(word) / speed) * rate // 1000)
    frequency = _SCALE_HZ[zlib.crc32(word.strip().lower().encode()) % len(_SCALE_HZ)]
    return _note(frequency, sounding, rate) + bytes(2 * (total - sounding))


@lru_cache(_NOTES_KEPT)
def _note(frequency: float, samples: int, rate: int) -> bytes:
    edge = max(1, min(samples // 2, _EDGE_MS * rate // 1000))
    step = 2 * math.pi * frequency / rate
    wave = array("h")
    for index in range(samples):
        envelope = min(1.0, index / edge, (samples - index) / edge)
        phase = step * index
        wave.append(round(_PEAK * envelope * (0.75 * math.sin(phase) + 0.25 * math.sin(2 * phase))))
    if sys.byteorder == "big":
        wave.byteswap()
    return wave.tobytes()


def _sounding_ms(word: str) -> int:
    letters = sum(character.isalnum() for character in word)
    return _BASE_MS + _MS_PER_LETTER * min(letters, _LONGEST_LETTERS)


def _pause_ms(word: str) -> int:
    return _PAUSE_MS.get(word[-1:], _GAP_MS)
