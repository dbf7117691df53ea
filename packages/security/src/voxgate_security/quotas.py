"""How many tokens one subject, and one client address, may be issued in a moving window.

Built on the ``limits`` library. Its own memory storage reads the wall clock and looks through every key on every hit,
so the storage here is ours: on the ``Clock`` port, and bounded.

Source: draft-ietf-httpapi-ratelimit-headers-10 (``RateLimit-Policy`` and ``RateLimit`` as structured fields).
"""

import ipaddress
import math
from collections import OrderedDict, deque
from typing import Final

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from voxgate_core import Clock, ConfigurationError, SystemClock, VoxgateError

__all__ = ["IssuanceQuotas", "client_network"]

MAX_HITS: Final = 500_000
"""Hits remembered over all subjects and addresses; past it the longest idle one is forgotten."""

IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that name a site: its hosts may choose the rest freely (RFC 4291 section 2.5.4)."""

UNKNOWN: Final = "unknown"


class _WindowStorage(MemoryStorage):
    """Moving windows on a clock that is given. A hit counts until exactly one window later."""

    def __init__(self, clock: Clock, max_hits: int) -> None:
        super().__init__()
        self._clock = clock
        self._max_hits = max_hits
        self._hits = 0
        self._windows: OrderedDict[str, deque[float]] = OrderedDict()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        window = self._current(key, expiry)
        if len(window) + amount > limit:
            return False
        window.extend([self._clock.monotonic()] * amount)
        self._hits += amount
        self._windows[key] = window
        self._windows.move_to_end(key)
        while self._hits > self._max_hits:
            _, forgotten = self._windows.popitem(last=False)
            self._hits -= len(forgotten)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        window = self._current(key, expiry)
        return (window[0] if window else self._clock.monotonic()), len(window)

    def _current(self, key: str, expiry: int) -> deque[float]:
        window = self._windows.get(key)
        if window is None:
            return deque()
        now = self._clock.monotonic()
        while window and window[0] + expiry <= now:
            window.popleft()
            self._hits -= 1
        if not window:
            del self._windows[key]
        return window


class IssuanceQuotas:
    """Quotas such as ``60/minute`` or ``1000 per 2 hours``, the grammar of the ``limits`` library.

    Kept in this process. Raises :class:`ConfigurationError` for a quota that can't be read.
    """

    def __init__(
        self,
        per_subject: str = "60/minute",
        per_address: str = "300/minute",
        *,
        clock: Clock | None = None,
        max_hits: int = MAX_HITS,
    ) -> None:
        faults: list[str] = []
        self._policies = tuple(
            (name, item)
            for name, item in (
                ("subject", _read(per_subject, "VOXGATE_QUOTA_SUBJECT", faults)),
                ("address", _read(per_address, "VOXGATE_QUOTA_ADDRESS", faults)),
            )
            if item is not None
        )
        if faults:
            raise ConfigurationError(faults)
        self._clock: Clock = clock or SystemClock()
        self._limiter = MovingWindowRateLimiter(_WindowStorage(self._clock, max_hits))
        self._policy_header = ", ".join(
            f'"{name}";q={item.amount};w={item.get_expiry()}' for name, item in self._policies
        )

    async def spend(self, *, subject: str, address: str | None) -> dict[str, str]:
        """Count one token and return the ``RateLimit`` headers for its answer.

        ``address`` is the client's IP address; IPv6 counts by /64. When either quota is used up neither is
        charged, and :class:`VoxgateError` ``quota_exceeded`` says after how many seconds to come back.
        """
        identifiers = {"subject": subject, "address": client_network(address)}
        waits = [
            reset - self._clock.monotonic()
            for name, item in self._policies
            for reset, remaining in [await self._limiter.get_window_stats(item, name, identifiers[name])]
            if remaining < 1
        ]
        if waits:
            raise VoxgateError("quota_exceeded", retry_after=max(waits), headers=await self._headers(identifiers))
        for name, item in self._policies:
            await self._limiter.hit(item, name, identifiers[name])
        return await self._headers(identifiers)

    async def _headers(self, identifiers: dict[str, str]) -> dict[str, str]:
        now = self._clock.monotonic()
        members = []
        for name, item in self._policies:
            reset, remaining = await self._limiter.get_window_stats(item, name, identifiers[name])
            members.append(f'"{name}";r={remaining};t={math.ceil(reset - now)}')
        return {"RateLimit-Policy": self._policy_header, "RateLimit": ", ".join(members)}


def client_network(address: str | None) -> str:
    """What an address is counted as: IPv4 whole, also when mapped into IPv6; IPv6 by its /64; else ``unknown``."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((parsed.packed, IPV6_PREFIX), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


def _read(text: str, setting: str, faults: list[str]) -> RateLimitItem | None:
    try:
        item = parse(text)
    except ValueError:
        item = None
    if item is None or item.amount < 1 or item.get_expiry() < 1:
        faults.append(f"{setting}: {text[:40]!r} is not a quota such as 60/minute")
        return None
    return item
