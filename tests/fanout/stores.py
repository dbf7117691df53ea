"""Nodes of one deployment: registries over one store, each with a link of its own that tests can meddle with."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import msgspec

from voxgate_core import Change, Clock, Entry, KeyValue, VoxgateError
from voxgate_fanout.registry import Registry
from voxgate_fanout.targets import ManagedBy, Target, new_target

NOW = 1_764_108_300.0
PATIENCE = 10.0
"""Seconds after which a test that waits for a node fails."""

T = TypeVar("T")
_is_key = re.compile(r"[A-Za-z0-9_=/-]+(?:\.[A-Za-z0-9_=/-]+)*\.?").fullmatch
Hook = Callable[[str, str], Awaitable[None]]


async def nothing(_method: str, _key: str) -> None:
    """The hook of an undisturbed link."""


async def unavailable(_method: str, _key: str) -> None:
    """The hook of a link to a store that is down."""
    raise VoxgateError("unavailable")


def only(method: str, prefix: str, then: Hook) -> Hook:
    """``then``, once, at the first such call; the hook is quiet before and after."""
    left = [then]

    async def hook(called: str, key: str) -> None:
        if left and called == method and key.startswith(prefix):
            await left.pop()(called, key)

    return hook


class Link:
    """:class:`voxgate_core.KeyValue` over a store that others use too.

    ``before`` and ``after`` run around every call and are given the name of the method and the key: they may fail,
    wait, or do what others do meanwhile. Keys are those that the shared store takes: see voxgate_backplane.names. For each change that was heard ``before`` runs with ``heard``. ``listening``
    is set whenever a watcher waits for a change, having taken all that came.
    """

    def __init__(self, store: KeyValue) -> None:
        self._store = store
        self.before: Hook = nothing
        self.after: Hook = nothing
        self.calls: list[tuple[str, str]] = []
        self.listening = asyncio.Event()

    async def get(self, key: str) -> Entry | None:
        return await self._call("get", key, lambda: self._store.get(key))

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> int:
        return await self._call("put", key, lambda: self._store.put(key, value, ttl=ttl))

    async def put_if_absent(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        return await self._call("put_if_absent", key, lambda: self._store.put_if_absent(key, value, ttl=ttl))

    async def compare_and_set(self, key: str, value: bytes, *, revision: int, ttl: float | None = None) -> bool:
        return await self._call(
            "compare_and_set", key, lambda: self._store.compare_and_set(key, value, revision=revision, ttl=ttl)
        )

    async def delete(self, key: str) -> bool:
        return await self._call("delete", key, lambda: self._store.delete(key))

    async def scan(self, prefix: str) -> Mapping[str, Entry]:
        return await self._call("scan", prefix, lambda: self._store.scan(prefix))

    @asynccontextmanager
    async def watch(self, prefix: str) -> AsyncIterator[AsyncIterator[Change]]:
        await self.before("watch", prefix)
        async with self._store.watch(prefix) as changes:
            yield _Overheard(self, changes)

    def writes(self, prefix: str) -> list[str]:
        """The methods that wrote, or tried to write, such keys."""
        reads = ("get", "scan")
        return [method for method, key in self.calls if key.startswith(prefix) and method not in reads]

    async def _call(self, method: str, key: str, call: Callable[[], Awaitable[T]]) -> T:
        if _is_key(key) is None and (method, key) != ("scan", ""):
            raise ValueError("the shared store takes no such key")
        self.calls.append((method, key))
        await self.before(method, key)
        result = await call()
        await self.after(method, key)
        return result


class _Overheard:
    def __init__(self, link: Link, changes: AsyncIterator[Change]) -> None:
        self._link = link
        self._changes = changes

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        self._link.listening.set()
        change = await anext(self._changes)
        self._link.listening.clear()
        await self._link.before("heard", change.key)
        return change


class Node:
    """A registry, the link it has to the store, and what it said has changed."""

    def __init__(self, store: KeyValue, clock: Clock, fixed: Iterable[Target] = ()) -> None:
        self.clock = clock
        self.link = Link(store)
        self.told: list[str] = []
        self.pauses = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.registry = Registry(self.link, clock, prod=False, fixed=fixed, changed=self._tell, pause=self._pause)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """The registry keeps up for as long as the block runs."""
        watch = asyncio.create_task(self.registry.watch())
        async with asyncio.timeout(PATIENCE):
            await self.link.listening.wait()
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once that holds; it is looked at whenever the registry says that something has changed."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(holds)

    def knows(self, name: str) -> bool:
        return any(target.name == name for target in self.registry)

    def _tell(self, target_id: str) -> None:
        self.told.append(target_id)
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _pause(self, _seconds: float) -> None:
        self.pauses += 1


def hook(name: str = "billing", **changes: object) -> Target:
    """A target as the routes make it."""
    made = new_target(name=name, url="https://billing.example/hooks", now=NOW)
    return msgspec.structs.replace(made, **changes)


def bare(name: str, managed_by: ManagedBy = "environment") -> Target:
    """A target of the environment that came without a secret."""
    url = "https://php.example/hooks"
    return Target(id=f"env-{name}", name=name, url=url, secrets=(), managed_by=managed_by, created_at=0.0)


def filed(name: str) -> Target:
    """A target of the file."""
    return msgspec.structs.replace(hook(name), id=f"file-{name}", managed_by="file", created_at=0.0)
