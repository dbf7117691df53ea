"""The key-value port and its in-memory adapter: TTL, put-if-absent, compare-and-set, watch."""

import asyncio
import heapq
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from voxgate_core.clock import Clock, SystemClock
from voxgate_core.errors import VoxgateError

__all__ = ["Change", "Entry", "KeyValue", "MemoryKeyValue"]

MAX_ENTRIES = 1_000_000
"""Live keys one in-memory store holds; a write past it is refused rather than memory exhausted."""

WATCH_QUEUE = 1024
"""Changes one slow watcher may fall behind before it is told that it missed some."""

DROPS_PER_WRITE = 8
"""Expired keys one write clears away: more than it adds, yet no write stalls behind a mass expiry."""

STALE_EXPIRIES = 64
"""Expiries the heap may hold beyond two for each live key, before overwritten and deleted ones are swept out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A live value. ``revision`` grows with every write to the store; ``expires_at`` is epoch seconds."""

    value: bytes
    revision: int
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change seen by a watcher; ``value`` is ``None`` for a delete. Expiry is not announced.

    With ``missed`` set, the watcher fell behind and must read anew: key and value are then empty.
    """

    key: str
    value: bytes | None
    missed: bool = False


class KeyValue(Protocol):
    """A small shared store. Keys are short text, values bytes, ``ttl`` seconds (``None`` keeps forever).

    A ``ttl`` of zero or less has passed already. Every write raises :class:`VoxgateError` ``unavailable``
    when it can't be made, and ``ValueError`` for a ``ttl`` that is not a number. A store may refuse keys (``ValueError``)
    and values (``body_too_large``) that it does not take, and a read is ``unavailable`` when it can't be asked.
    """

    async def get(self, key: str) -> Entry | None: ...

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> int:
        """Write whatever is there; the new revision."""
        ...

    async def put_if_absent(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        """Write only when no live value is there; of many concurrent callers exactly one gets ``True``."""
        ...

    async def compare_and_set(self, key: str, value: bytes, *, revision: int, ttl: float | None = None) -> bool:
        """Write only when the live value still has ``revision``."""
        ...

    async def delete(self, key: str) -> bool:
        """Remove; whether a live value was there."""
        ...

    async def scan(self, prefix: str) -> Mapping[str, Entry]:
        """Every live entry whose key begins with ``prefix``, by its key."""
        ...

    def watch(self, prefix: str) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Changes to keys that begin with ``prefix``, from the moment the context is entered."""
        ...


class MemoryKeyValue:
    """One process's store. Expired keys are dropped in order of expiry, a few with every write."""

    def __init__(self, clock: Clock | None = None, *, max_entries: int = MAX_ENTRIES) -> None:
        self._clock = clock or SystemClock()
        self._max_entries = max_entries
        self._entries: dict[str, Entry] = {}
        self._expiries: list[tuple[float, int, str]] = []
        self._revision = 0
        self._watchers: dict[asyncio.Queue[Change], str] = {}

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: str) -> Entry | None:
        return self._live(key)

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> int:
        return self._write(key, value, ttl)

    async def put_if_absent(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        if self._live(key) is not None:
            return False
        self._write(key, value, ttl)
        return True

    async def compare_and_set(self, key: str, value: bytes, *, revision: int, ttl: float | None = None) -> bool:
        entry = self._live(key)
        if entry is None or entry.revision != revision:
            return False
        self._write(key, value, ttl)
        return True

    async def delete(self, key: str) -> bool:
        live = self._live(key) is not None
        if live:
            del self._entries[key]
            self._announce(Change(key, None))
        return live

    async def scan(self, prefix: str) -> Mapping[str, Entry]:
        found = {key: self._live(key) for key in list(self._entries) if key.startswith(prefix)}
        return {key: entry for key, entry in found.items() if entry is not None}

    @asynccontextmanager
    async def watch(self, prefix: str) -> AsyncIterator[AsyncIterator[Change]]:
        queue: asyncio.Queue[Change] = asyncio.Queue(WATCH_QUEUE)
        self._watchers[queue] = prefix
        try:
            yield _Changes(queue)
        finally:
            del self._watchers[queue]

    def _live(self, key: str) -> Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at is not None and entry.expires_at <= self._clock.now():
            del self._entries[key]
            return None
        return entry

    def _write(self, key: str, value: bytes, ttl: float | None) -> int:
        if ttl is not None and math.isnan(ttl):
            raise ValueError("a ttl is a number of seconds")
        self._drop_expired()
        if key not in self._entries and self._full:
            raise VoxgateError("unavailable", "the in-memory store is full")
        self._revision += 1
        expires_at = None if ttl is None else self._clock.now() + ttl
        self._entries[key] = Entry(value, self._revision, expires_at)
        if expires_at is not None:
            self._remember_expiry((expires_at, self._revision, key))
        self._announce(Change(key, value))
        return self._revision

    @property
    def _full(self) -> bool:
        return len(self._entries) >= self._max_entries

    def _remember_expiry(self, expiry: tuple[float, int, str]) -> None:
        heapq.heappush(self._expiries, expiry)
        if len(self._expiries) > 2 * len(self._entries) + STALE_EXPIRIES:
            self._expiries = [
                (entry.expires_at, entry.revision, key)
                for key, entry in self._entries.items()
                if entry.expires_at is not None
            ]
            heapq.heapify(self._expiries)

    def _drop_expired(self) -> None:
        now = self._clock.now()
        dropped = 0
        while self._expiries and self._expiries[0][0] <= now and (dropped < DROPS_PER_WRITE or self._full):
            _, revision, key = heapq.heappop(self._expiries)
            entry = self._entries.get(key)
            if entry is not None and entry.revision == revision:
                del self._entries[key]
            dropped += 1

    def _announce(self, change: Change) -> None:
        for queue, prefix in self._watchers.items():
            if not change.key.startswith(prefix):
                continue
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(Change("", None, missed=True))
            else:
                queue.put_nowait(change)


class _Changes:
    """Not an async generator: one left half read would need closing, and its reader may be another task."""

    def __init__(self, queue: asyncio.Queue[Change]) -> None:
        self._queue = queue

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        return await self._queue.get()
