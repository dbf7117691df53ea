"""Real nats-servers for tests, clients that are logged in to them, and ways to wait for what happens to both."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from voxgate_backplane.server import EmbeddedServer

__all__ = ["Heard", "Pauses", "client_of", "ended", "hearing", "log_in", "running_server"]


@asynccontextmanager
async def running_server(data_dir: Path, **options: Any) -> AsyncIterator[EmbeddedServer]:
    """An :class:`EmbeddedServer` over ``data_dir``, which is made, with its options; afterwards its process is gone."""
    async with EmbeddedServer(data_dir, **options) as server:
        yield server
    assert server.pid is None


@asynccontextmanager
async def client_of(server: EmbeddedServer, **options: Any) -> AsyncIterator[Client]:
    """A nats-py client with the server's credential and the options of ``nats.connect``."""
    client = Client()
    try:
        await client.connect(server.url, user=server.user, password=server.password, **options)
        yield client
    finally:
        await client.close()


async def log_in(server: EmbeddedServer, credential: dict[str, Any]) -> None:
    """Connect once and close. Raises :class:`nats.errors.Error` for a credential that the server refuses."""
    client = Client()
    try:
        await client.connect(server.url, allow_reconnect=False, **credential)
    finally:
        await client.close()  # nats-py leaves a refused connection open


class Pauses:
    """The ``pause`` port of a test: each pause is told in :attr:`asked` and ends with :meth:`release`."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self._released: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        await self._released.get()

    def release(self) -> None:
        """End the pause that is on, or the next one."""
        self._released.put_nowait(None)


class Heard(logging.Handler):
    """What was logged: all of it in ``records``, and the messages one by one for :meth:`wait_for`."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []
        self._messages: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self._messages.put_nowait(record.getMessage())

    async def wait_for(self, part: str) -> str:
        """The next message with ``part`` in it; those before it are passed over."""
        while part not in (message := await self._messages.get()):
            pass
        return message

    def levels_of(self, part: str) -> set[int]:
        return {record.levelno for record in self.records if part in record.getMessage()}


@contextmanager
def hearing(name: str = "voxgate.backplane") -> Iterator[Heard]:
    """Everything that the logger of this name is told, from DEBUG on."""
    logger, heard = logging.getLogger(name), Heard()
    before = logger.level
    logger.addHandler(heard)
    logger.setLevel(logging.DEBUG)
    try:
        yield heard
    finally:
        logger.setLevel(before)
        logger.removeHandler(heard)


@asynccontextmanager
async def ended(pid: int) -> AsyncIterator[asyncio.Event]:
    """An event that is set when the process, a child of anyone, has ended. Enter while it is there."""
    loop, event, descriptor = asyncio.get_running_loop(), asyncio.Event(), os.pidfd_open(pid)
    loop.add_reader(descriptor, event.set)
    try:
        yield event
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
