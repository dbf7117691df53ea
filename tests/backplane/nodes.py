"""Single nats-servers for tests that need another configuration than the embedded one's: TLS, creds, clusters."""

import asyncio
import ctypes
import logging
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from voxgate_backplane.server import find_server

__all__ = ["Node", "free_ports", "running_node"]

STOP_SECONDS = 10.0
START_SECONDS = 30.0

READY = "Server is ready"

logger = logging.getLogger("tests.nats-server")

_prctl = ctypes.CDLL(None).prctl


def _die_with_the_test() -> None:
    _prctl(1, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has. They are free again on return: use them at once."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Node:
    """One nats-server over ``folder``, on a port that it keeps from one start to the next. ``config`` is its text."""

    def __init__(self, name: str, folder: Path, port: int, config: str) -> None:
        self.name = name
        self.port = port
        self._folder = folder
        self._config = f'server_name: "{name}"\nlisten: "127.0.0.1:{port}"\nlogtime: false\n{config}'
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._lines: list[str] = []
        self._said = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, or start it again over what it had stored, and wait until it takes clients."""
        assert self._process is None
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "server.conf").write_text(self._config)
        self._lines.clear()
        self._process = await asyncio.create_subprocess_exec(
            await find_server(),
            "--config",
            "server.conf",
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_the_test,
        )
        self._reading = asyncio.create_task(self._read(self._process))
        await self.says(READY)

    async def says(self, *texts: str) -> None:
        """Wait until a line of this start holds one of the texts."""

        def said() -> bool:
            return any(text in line for text in texts for line in self._lines)

        async with asyncio.timeout(START_SECONDS), self._said:
            await self._said.wait_for(lambda: said() or not self.is_running)
        assert self.is_running, self._lines

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        await self._gone()

    async def stop(self) -> None:
        """Ask it to end, kill it when it doesn't. Nothing happens to one that is gone."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        await self._gone()

    async def _gone(self) -> None:
        assert self._reading is not None
        await asyncio.wait([self._reading])
        self._reading.result()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            logger.debug("%s: %s", self.name, line.decode().rstrip())
            async with self._said:
                self._lines.append(line.decode())
                self._said.notify_all()
        await process.wait()
        async with self._said:
            self._process = None
            self._said.notify_all()


@asynccontextmanager
async def running_node(folder: Path, config: str) -> AsyncIterator[Node]:
    """A server with this configuration beside its name and port; afterwards its process is gone."""
    node = Node("alone", folder, free_ports(1)[0], config)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(node.stop)
        await node.start()
        yield node
