"""How many tokens one subject, and one client address, may be issued in a moving window.

The windows are kept in the ``KeyValue`` port: every worker and node over one store counts together. A window is read,
a hit added, and the record written back if nobody wrote it meanwhile. Callers of one process take turns on a key, so
that only other processes can come between. ``windows`` says what the records cost in precision.

Source: draft-ietf-httpapi-ratelimit-headers-10 (``RateLimit-Policy`` and ``RateLimit`` as structured fields).
"""

import asyncio
import hashlib
import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from limits import parse

from voxgate_core import Clock, ConfigurationError, KeyValue, SystemClock, VoxgateError
from voxgate_security.keylocks import KeyLocks
from voxgate_security.windows import Quota, Window

__all__ = ["IssuanceQuotas", "client_network"]

PREFIX: Final = "security.quota."

MAX_ATTEMPTS: Final = 32
"""Times one record is written anew when other processes write it at the same moment, before a caller is sent away."""

SPEND_SECONDS: Final = 5.0
"""How long one token may wait to be counted, its turn on the keys included; then it is refused ``unavailable``."""

IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that name a site: its hosts may choose the rest freely (RFC 4291 section 2.5.4)."""

UNKNOWN: Final = "unknown"


@dataclass(slots=True)
class _Count:
    """One quota's window as last read. ``revision`` is ``None`` when the store had no record of it.

    ``moment`` is what this caller's own hit is recorded under, once there is one.
    """

    quota: Quota
    key: str
    window: Window
    revision: int | None
    moment: float = -math.inf


class IssuanceQuotas:
    """Quotas such as ``60/minute`` or ``1000 per 2 hours``, the grammar of the ``limits`` library.

    They hold over everything that shares ``store``; a quota that is changed counts from nothing. ``patience`` is
    seconds. Raises :class:`ConfigurationError` for a quota that can't be read.
    """

    def __init__(
        self,
        per_subject: str = "60/minute",
        per_address: str = "300/minute",
        *,
        store: KeyValue,
        clock: Clock | None = None,
        patience: float = SPEND_SECONDS,
    ) -> None:
        faults: list[str] = []
        self._quotas = (
            _read("subject", per_subject, "VOXGATE_QUOTA_SUBJECT", faults),
            _read("address", per_address, "VOXGATE_QUOTA_ADDRESS", faults),
        )
        if faults:
            raise ConfigurationError(faults)
        self._store = store
        self._clock: Clock = clock or SystemClock()
        self._patience = patience
        self._locks = KeyLocks()
        self._policy_header = ", ".join(f'"{quota.name}";q={quota.hits};w={quota.seconds}' for quota in self._quotas)

    async def spend(self, *, subject: str, address: str | None) -> dict[str, str]:
        """Count one token and return the ``RateLimit`` headers for its answer.

        ``address`` is the client's IP address; IPv6 counts by /64. When either quota is used up neither is
        charged, and :class:`VoxgateError` ``quota_exceeded`` says after how many seconds to come back.

        Raises ``unavailable`` when the store can't be asked in time, or is too busy: no token is issued uncounted.
        The quotas may have been charged then, as far as the store got.
        """
        keys = [
            _key(quota, identifier)
            for quota, identifier in zip(self._quotas, (subject, client_network(address)), strict=True)
        ]
        try:
            # Always the subject's lock first: two callers can't each hold what the other waits for.
            async with asyncio.timeout(self._patience), self._locks.hold(keys[0]), self._locks.hold(keys[1]):
                return await self._spend(keys)
        except TimeoutError:
            raise VoxgateError("unavailable", "the quota could not be looked up in time; try again") from None

    async def _spend(self, keys: Sequence[str]) -> dict[str, str]:
        counts = [await self._look(quota, key) for quota, key in zip(self._quotas, keys, strict=True)]
        subject, address = counts
        if subject.window.remaining and address.window.remaining and await self._charge(subject):
            try:
                if await self._charge(address):
                    return self._headers(counts)
            except VoxgateError:
                await self._give_back(subject)
                raise
            # Another process took the address's last place after we had looked.
            await self._give_back(subject)
        wait = max(count.window.reset for count in counts if not count.window.remaining)
        raise VoxgateError("quota_exceeded", retry_after=wait, headers=self._headers(counts))

    async def _charge(self, count: _Count) -> bool:
        """Record a hit; ``False`` when there is no place for it (any more)."""
        for _ in range(MAX_ATTEMPTS):
            if not count.window.remaining:
                return False
            count.moment = count.window.hit()
            if await self._write(count):
                return True
            await self._look_again(count)
        raise _contended()

    async def _give_back(self, count: _Count) -> None:
        for _ in range(MAX_ATTEMPTS):
            await self._look_again(count)
            if not count.window.give_back(count.moment) or await self._write(count):
                return
        raise _contended()

    async def _look(self, quota: Quota, key: str) -> _Count:
        entry = await self._store.get(key)
        now = self._clock.now()
        if entry is None:
            return _Count(quota, key, Window(quota, now), None)
        return _Count(quota, key, Window.read(quota, now, entry.value), entry.revision)

    async def _look_again(self, count: _Count) -> None:
        found = await self._look(count.quota, count.key)
        count.window, count.revision = found.window, found.revision

    async def _write(self, count: _Count) -> bool:
        # The newest hit counts for one window from now at most, so after that the record says nothing.
        record, ttl = count.window.record(), count.quota.seconds
        if count.revision is None:
            return await self._store.put_if_absent(count.key, record, ttl=ttl)
        return await self._store.compare_and_set(count.key, record, revision=count.revision, ttl=ttl)

    def _headers(self, counts: Sequence[_Count]) -> dict[str, str]:
        members = [
            f'"{count.quota.name}";r={count.window.remaining};t={math.ceil(count.window.reset)}' for count in counts
        ]
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


def _read(name: str, text: str, setting: str, faults: list[str]) -> Quota:
    try:
        item = parse(text)
        quota = Quota(name, item.amount, item.get_expiry())
    except ValueError:
        quota = Quota(name, 0, 0)
    if quota.hits < 1 or quota.seconds < 1:
        faults.append(f"{setting}: {text[:40]!r} is not a quota such as 60/minute")
    return quota


def _key(quota: Quota, identifier: str) -> str:
    # A subject may hold any text; keys of a store may not. Two policies never share a record: each forgets too soon
    # for the longer of them.
    counted = f"{quota.hits}/{quota.seconds}/{identifier}".encode("utf-8", "surrogatepass")
    return f"{PREFIX}{quota.name}.{hashlib.sha256(counted).hexdigest()}"


def _contended() -> VoxgateError:
    return VoxgateError("unavailable", "too many tokens are asked for at once; try again")
