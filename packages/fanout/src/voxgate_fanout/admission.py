"""How many events per second one caller may post to one process. Pure."""

from collections import OrderedDict
from typing import Final

from voxgate_core import Clock, VoxgateError
from voxgate_fanout.rate import Bucket

__all__ = ["MAX_CALLERS", "Admission"]

MAX_CALLERS: Final = 10_000
"""Callers that are remembered; past it the one that was idle for longest is forgotten."""

BURST_SECONDS: Final = 2.0
"""For how many seconds' worth of events a caller may save up."""


class Admission:
    """``rate`` is events per second for each caller; 0 lets everything pass."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    @property
    def callers(self) -> int:
        """Callers that are remembered."""
        return len(self._buckets)

    def spend(self, caller: str) -> None:
        """Count one event. Raises :class:`VoxgateError` ``quota_exceeded`` with the seconds to wait."""
        if self._rate <= 0:
            return
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = Bucket(self._rate, self._rate * BURST_SECONDS)
            if len(self._buckets) > MAX_CALLERS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(caller)
        wait = bucket.take(self._clock.monotonic())
        if wait:
            raise VoxgateError("quota_exceeded", "too many events at once from this caller", retry_after=wait)
