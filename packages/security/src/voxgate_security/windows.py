"""The hits that one quota has counted for one key, and the record that a store keeps of them. Pure.

A hit counts until exactly one window after it fell. Its rules:

1. A quota of at most MAX_SLOTS keeps the moment of every hit, and is exact.
2. A larger one divides its window into MAX_SLOTS - 2 parts. Hits that fall into one part share a slot and count until
   one window after the last of them. So a hit never counts shorter than its window, and longer by less than one part
   (a sixty-second of the window: under one second of a minute, under a minute of an hour). A place comes free that much
   late; never is one hit more let through.
3. Nodes share records and not clocks. A hit is never recorded before the newest one there, so the order of slots is
   that of time. With clocks at most d seconds apart, a hit counts for at least the window less d and at most the
   window and d: the quota holds exactly at any one moment, and over every stretch of the window less d seconds.
4. Nothing is waited for longer than one window, wherever a clock that was wrong has put its hits.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from voxgate_core import VoxgateError

__all__ = ["MAX_RECORD", "MAX_SLOTS", "Quota", "Window"]

MAX_SLOTS: Final = 64
"""Moments that one record holds. More would free places sooner, and make every hit a larger write."""

PARTS: Final = MAX_SLOTS - 2
"""Parts of a large quota's window: a window touches one part more than it has, and rounding may add another."""

MAX_RECORD: Final = 3 + MAX_SLOTS * (1 + 9 + 9)
"""Bytes of the largest record: an array of pairs of a double and a whole number, as MessagePack writes them."""

Slot = tuple[float, int]
"""The moment of a slot's last hit in epoch seconds, and how many hits are in it."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Slot]).decode


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``hits`` in any ``seconds``; ``name`` is what the ``RateLimit`` fields call it."""

    name: str
    hits: int
    seconds: int


class Window:
    """The hits of one key that still count at ``now`` (epoch seconds), oldest first."""

    __slots__ = ("_hits", "_now", "_quota", "_slots")

    def __init__(self, quota: Quota, now: float, slots: Iterable[Slot] = ()) -> None:
        self._quota = quota
        self._now = now
        self._slots = [slot for slot in slots if slot[0] + quota.seconds > now]
        self._hits = sum(count for _, count in self._slots)

    @classmethod
    def read(cls, quota: Quota, now: float, record: bytes) -> "Window":
        """The window that :meth:`record` wrote, as it stands at ``now``.

        Raises :class:`VoxgateError` ``unavailable`` for anything else: what can't be read is not taken for nothing.
        """
        try:
            return cls(quota, now, _decode(record))
        except msgspec.MsgspecError:
            raise VoxgateError("unavailable", "the record of a quota can't be read") from None

    @property
    def remaining(self) -> int:
        """Hits that may still fall now."""
        return max(0, self._quota.hits - self._hits)

    @property
    def reset(self) -> float:
        """Seconds until the oldest hits stop counting; a whole window when there are none."""
        if not self._slots:
            return self._quota.seconds
        return min(self._slots[0][0] + self._quota.seconds - self._now, self._quota.seconds)

    def hit(self) -> float:
        """Count one hit, which the caller knows to be within the quota; the moment it is recorded under."""
        newest, count = self._slots[-1] if self._slots else (-math.inf, 0)
        moment = max(self._now, newest)
        if count and self._part(moment) == self._part(newest):
            self._slots[-1] = (moment, count + 1)
        else:
            self._slots.append((moment, 1))
        self._hits += 1
        return moment

    def give_back(self, moment: float) -> bool:
        """Take out one hit that was recorded under ``moment``; ``False`` when it does not count any more."""
        part = self._part(moment)
        for place, (last, count) in enumerate(self._slots):
            if self._part(last) == part:
                self._slots[place : place + 1] = [(last, count - 1)] if count > 1 else []
                self._hits -= 1
                return True
        return False

    def record(self) -> bytes:
        """What the store keeps: at most MAX_RECORD bytes."""
        return _encode(self._slots)

    def _part(self, moment: float) -> float:
        if self._quota.hits <= MAX_SLOTS:
            return moment
        return moment * PARTS // self._quota.seconds
