"""G.711 companding, for sessions that ask for telephone audio. Source: ITU-T Recommendation G.711.

Samples are 16-bit linear on one side, one byte on the other; ``audioop`` is gone from Python 3.13, so the
256 decoded values are computed once and the encoders search them by segment.
"""

import sys
from array import array

__all__ = ["G711_RATE", "alaw_from_pcm", "pcm_from_alaw", "pcm_from_ulaw", "ulaw_from_pcm"]

G711_RATE = 8_000
"""Samples a second of ``audio/pcmu`` and ``audio/pcma``."""

_ULAW_BIAS = 0x84
_ULAW_CLIP = 32_635
_ALAW_MASK = 0x55


def _ulaw_sample(code: int) -> int:
    code = ~code & 0xFF
    segment, step = (code >> 4) & 7, code & 15
    magnitude = (((step << 3) + _ULAW_BIAS) << segment) - _ULAW_BIAS
    return -magnitude if code & 0x80 else magnitude


def _alaw_sample(code: int) -> int:
    code ^= _ALAW_MASK
    segment, step = (code >> 4) & 7, code & 15
    magnitude = (step << 4) + 8 if segment == 0 else ((step << 4) + 0x108) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


def _ulaw_code(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    segment = magnitude.bit_length() - 8
    return ~(sign | segment << 4 | (magnitude >> (segment + 3)) & 15) & 0xFF


def _alaw_code(sample: int) -> int:
    sign = 0x80 if sample >= 0 else 0
    magnitude = sample if sample >= 0 else -sample - 1
    segment = max(0, magnitude.bit_length() - 8)
    step = magnitude >> 4 if segment == 0 else magnitude >> (segment + 3)
    return (sign | segment << 4 | step & 15) ^ _ALAW_MASK


_ULAW = tuple(_ulaw_sample(code) for code in range(256))
_ALAW = tuple(_alaw_sample(code) for code in range(256))


def pcm_from_ulaw(data: bytes) -> bytes:
    """PCM16 little-endian from mu-law bytes, at the same rate."""
    return _little_endian(array("h", [_ULAW[code] for code in data]))


def pcm_from_alaw(data: bytes) -> bytes:
    """PCM16 little-endian from A-law bytes, at the same rate."""
    return _little_endian(array("h", [_ALAW[code] for code in data]))


def ulaw_from_pcm(pcm: bytes) -> bytes:
    """Mu-law bytes from PCM16 little-endian; an odd last byte raises ``ValueError``."""
    return bytes(_ulaw_code(sample) for sample in _samples(pcm))


def alaw_from_pcm(pcm: bytes) -> bytes:
    """A-law bytes from PCM16 little-endian; an odd last byte raises ``ValueError``."""
    return bytes(_alaw_code(sample) for sample in _samples(pcm))


def _samples(pcm: bytes) -> "array[int]":
    samples = array("h")
    samples.frombytes(pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _little_endian(samples: "array[int]") -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
