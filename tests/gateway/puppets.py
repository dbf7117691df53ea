"""The test's end of the strings: supervised workers that wait to be told what to do, on each kind of event loop."""

import asyncio
import contextlib
import functools
import inspect
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from os import pidfd_open  # bound here: a test takes it from os
from pathlib import Path
from typing import Any

import pytest
import uvloop

from voxgate_core import ManualClock
from voxgate_gateway.worker_process import WorkerProcess
from voxgate_gateway.workers import supervise

__all__ = ["PUPPET", "READY", "Log", "Pauses", "Puppet", "Stage", "dies", "on_each_loop"]

PUPPET = (sys.executable, "-I", "-S", str(Path(__file__).with_name("puppet.py")))
READY = '{"event": "ready", "url": "http://127.0.0.1:1", "pid": 1, "devKey": "vk_never_to_be_logged"}\n'
SECONDS = 30.0
"""How long anything may take on a busy machine before the test gives up."""

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


class Puppet:
    """One worker process, as seen by the test."""

    def __init__(self, about: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.about = about
        self.pid: int = about["pid"]
        self.worker: str = about["worker"]
        self.pidfd = pidfd_open(self.pid)
        self._reader = reader
        self._writer = writer

    def send(self, *command: object) -> None:
        """Have it obey, though it may not live to answer."""
        self._writer.write(json.dumps(command).encode() + b"\n")

    async def tell(self, *command: object) -> Any:
        """Have it obey, and return what it answers."""
        self.send(*command)
        return json.loads(await self._reader.readline())

    async def exits(self, status: int) -> None:
        """Have it exit, and wait until it has."""
        self.send("exit", status)
        await dies(self.pidfd)

    async def is_killed(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)
        await dies(self.pidfd)

    def close(self) -> None:
        self._writer.close()
        os.close(self.pidfd)


class Pauses:
    """Stands for ``asyncio.sleep``: tells the test what was asked for, and returns at once unless it is held."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self.let = asyncio.Event()
        self.let.set()

    async def __call__(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        await self.let.wait()


class Log(logging.Handler):
    """What the gateway logs, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._grew = asyncio.Event()
        self._logger = logging.getLogger("voxgate.gateway")

    def __enter__(self) -> None:
        self._level = self._logger.level
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self._grew.set()

    def of(self, message: str) -> list[dict[str, Any]]:
        """The fields of every record whose message begins so."""
        return [vars(record) for record in self.records if record.getMessage().startswith(message)]

    async def until(self, message: str, count: int) -> None:
        """Wait until so many such records were written."""
        async with asyncio.timeout(SECONDS):
            while len(self.of(message)) < count:
                self._grew.clear()
                await self._grew.wait()


class Stage:
    """A listening socket, the port that puppets connect to, and what supervising them needs."""

    def __init__(self, loop: str) -> None:
        self.loop = loop
        self.log = Log()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.listener.getsockname()
        self.stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.clock = ManualClock()
        self.pauses = Pauses()
        self.puppets: list[Puppet] = []
        self._born: asyncio.Queue[Puppet | None] = asyncio.Queue()
        self._cleanup = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Stage":
        self._cleanup.callback(self.listener.close)
        self._cleanup.enter_context(self.log)
        strings = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self._cleanup.callback(self._let_go)
        self._cleanup.callback(strings.close)
        self.environ = {"PUPPET_STRINGS": str(strings.sockets[0].getsockname()[1])}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._cleanup.aclose()

    def supervise(self, count: int, *, command: Sequence[str] = PUPPET, **terms: Any) -> "asyncio.Task[None]":
        """Supervise so many puppets until the test ends, at the latest."""
        given: dict[str, Any] = {"pause": self.pauses, "clock": self.clock, "ready": self._on_ready, **terms}
        work = supervise(command, count, environ=self.environ, listener=self.listener, stop=self.stop, **given)
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._born.put_nowait(None))
        self._cleanup.push_async_callback(self._stop, task)
        return task

    async def start(self, slot: str, command: Sequence[str] = PUPPET) -> tuple[WorkerProcess, Puppet]:
        """One worker without a supervisor, killed when the test ends."""
        worker = WorkerProcess(command, slot, environ=self.environ, listener=self.listener.fileno())
        self._cleanup.push_async_callback(worker.ended.wait)
        self._cleanup.callback(worker.kill)
        return worker, await self.next()

    async def next(self) -> Puppet:
        """The next process that comes up."""
        async with asyncio.timeout(SECONDS):
            puppet = await self._born.get()
        assert puppet is not None, "the supervisor has ended"
        return puppet

    async def born(self, count: int) -> list[Puppet]:
        """The next so many, in the order of their slots."""
        return sorted([await self.next() for _ in range(count)], key=lambda puppet: puppet.worker)

    async def ask(self) -> int:
        """Connect to the workers; the number of the process that answers."""
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection(*self.address)
            answer = int(await reader.read())
            writer.close()
            return answer

    def refuses(self) -> bool:
        with socket.socket() as caller:
            return caller.connect_ex(self.address) != 0

    def _on_ready(self) -> None:
        assert not self.ready.is_set(), "ready was called twice"
        self.ready.set()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        about = await reader.readline()
        if not about:  # it was killed before it could say anything
            writer.close()
            return
        puppet = Puppet(json.loads(about), reader, writer)
        self.puppets.append(puppet)
        self._born.put_nowait(puppet)

    def _let_go(self) -> None:
        for puppet in self.puppets:
            puppet.close()

    async def _stop(self, task: "asyncio.Task[None]") -> None:
        """Let nothing live on, whatever happened."""
        for puppet in self.puppets:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(puppet.pidfd, signal.SIGKILL)
        self.stop.set()
        if not task.done():
            await task


def on_each_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test, whose first argument is a stage, two tests: on asyncio's event loop and on uvloop's."""

    def run(loop: str, **arguments: object) -> None:
        async def act() -> None:
            async with asyncio.timeout(2 * SECONDS), Stage(loop) as stage:
                await test(stage, **arguments)

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(act())

    functools.update_wrapper(run, test)
    del run.__dict__["__wrapped__"]  # or pytest would take the arguments of test for those of run
    _, *others = inspect.signature(test).parameters.values()
    loop = inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY)
    run.__dict__["__signature__"] = inspect.Signature([*others, loop])
    return pytest.mark.parametrize("loop", LOOPS)(run)


async def dies(pidfd: int) -> None:
    """Wait until the process behind a pidfd has ended."""
    loop = asyncio.get_running_loop()
    dead = asyncio.Event()
    loop.add_reader(pidfd, dead.set)
    try:
        async with asyncio.timeout(SECONDS):
            await dead.wait()
    finally:
        loop.remove_reader(pidfd)
