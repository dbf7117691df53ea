"""A token bucket: how many deliveries one target gets per second. Pure."""

import math
from typing import Final

__all__ = ["Bucket"]

SLACK: Final = 1e-9
"""Part of a token that a wait adds, so that rounding never makes it end just before the token is there."""


class Bucket:
    """Holds ``burst`` tokens at most, at least 1, and gains ``rate`` of them per second; it begins full.

    Times are the caller's monotonic seconds. Raises ``ValueError`` for a rate that is not above 0.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float = 1.0) -> None:
        if not (rate > 0 and math.isfinite(rate)):
            raise ValueError("a rate is a number above 0")
        self._rate = rate
        self._burst = max(1.0, burst)
        self._tokens = self._burst
        self._at = -math.inf

    def take(self, now: float) -> float:
        """Take a token and return 0.0, or take none and return the seconds to wait for one.

        Whoever waits that long gets it, unless somebody else was faster.
        """
        gained = max(0.0, now - self._at) * self._rate
        tokens = min(self._burst, self._tokens + gained)
        if tokens < 1.0:
            return (1.0 - tokens + SLACK) / self._rate + math.ulp(now)
        self._tokens = tokens - 1.0
        self._at = now
        return 0.0
