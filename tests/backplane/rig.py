"""Connections, workers and disturbances for the tests of the ports over NATS."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import pytest

from tests.backplane.servers import ended
from voxgate_backplane.client import Connection, Credentials, connected
from voxgate_backplane.server import EmbeddedServer
from voxgate_core import Claim, DurableQueue

__all__ = ["Hands", "Proxy", "connection_to", "consumers_of", "empty", "is_pulling", "kill", "until", "within"]

DEADLINE = 30.0
"""Seconds a test waits before it fails; a passing test never waits that long."""

CHUNK = 65_536

T = TypeVar("T")


async def within(awaitable: Awaitable[T], seconds: float = DEADLINE) -> T:
    """What it returns; fails the test when that takes too long."""
    async with asyncio.timeout(seconds):
        return await awaitable


def connection_to(server: EmbeddedServer, *, through: "Proxy | None" = None) -> AbstractAsyncContextManager[Connection]:
    url = server.url if through is None else through.url
    return connected(url, Credentials(user=server.user, password=server.password))


async def kill(server: EmbeddedServer) -> None:
    """SIGKILL the server; returns when the process is gone. It is started again after its first pause."""
    assert server.pid is not None
    async with ended(server.pid) as gone:
        os.kill(server.pid, signal.SIGKILL)
        await within(gone.wait())


async def consumers_of(connection: Connection, stream: str) -> int:
    info = await connection.api(f"STREAM.INFO.{stream}")
    return int(info["state"]["consumer_count"])


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask a server again and again until something holds of what only it knows."""
    async with asyncio.timeout(DEADLINE):
        while not await holds():
            pass


async def empty(queue: DurableQueue, *, but: int = 0) -> None:
    """Returns when so many jobs are left: acknowledgements are not answered, so one may count for a moment longer."""

    async def is_empty() -> bool:
        return sum((await queue.backlog()).values()) <= but

    await until(is_empty)


async def is_pulling(connection: Connection, stream: str = "test-jobs", lane: str = "lane") -> None:
    """Returns when the server holds a pull."""

    async def holds_one() -> bool:
        return bool((await connection.api(f"CONSUMER.INFO.{stream}.{lane}"))["num_waiting"])

    await until(holds_one)


class Hands:
    """A handler that passes each claim to the test and keeps it until the test lets go of it."""

    def __init__(self) -> None:
        self.most = 0
        self._held: dict[Claim, asyncio.Event] = {}
        self._taken: asyncio.Queue[Claim] = asyncio.Queue()

    async def __call__(self, claim: Claim) -> None:
        free = self._held[claim] = asyncio.Event()
        self.most = max(self.most, len(self._held))
        self._taken.put_nowait(claim)
        try:
            await free.wait()
        finally:
            del self._held[claim]

    @property
    def is_idle(self) -> bool:
        return self._taken.empty() and not self._held

    async def next(self, seconds: float = DEADLINE) -> Claim:
        return await within(self._taken.get(), seconds)

    async def nothing(self, seconds: float) -> None:
        """Nothing comes for so long."""
        with pytest.raises(TimeoutError):
            await self.next(seconds)

    def let_go(self, claim: Claim) -> None:
        """End the handler of this claim, without a word about the job."""
        self._held[claim].set()

    async def done(self, claim: Claim) -> None:
        await claim.ack()
        self.let_go(claim)

    async def finish(self, count: int) -> list[bytes]:
        """Acknowledge so many jobs one after the other; their bodies in the order they came."""
        bodies = []
        for _ in range(count):
            claim = await self.next()
            bodies.append(claim.body)
            await self.done(claim)
        return bodies


class Proxy:
    """A TCP proxy before a server that can lose what the server says."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._swallow: bytes | None = None
        self._cut = False
        self.lost: asyncio.Event = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def before(cls, server: EmbeddedServer) -> "AsyncIterator[Proxy]":
        proxy = cls(int(server.url.rpartition(":")[2]))
        proxy._server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        try:
            yield proxy
        finally:
            proxy._server.close()
            proxy.cut()
            if proxy._tasks:
                await asyncio.wait(proxy._tasks)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def lose_answer(self, holding: bytes, *, cut: bool) -> None:
        """Lose the next thing the server says that holds these bytes; with ``cut``, and the connection with it."""
        self._swallow, self._cut = holding, cut
        self.lost.clear()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        both = {writer, far_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, far_writer, False), self._pump(far_reader, writer, True))
        finally:
            self._writers -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        try:
            while data := await reader.read(CHUNK):
                if answers and self._swallow is not None and self._swallow in data:
                    self._swallow = None
                    self.lost.set()
                    if self._cut:
                        break
                    continue
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # the other side was cut
        finally:
            writer.close()
