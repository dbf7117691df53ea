"""Starts the real server for a run, as an operator would, and leaves nothing behind.

The harness binds a loopback port itself and hands the socket down, so there is no race for the port: a request made
before the server accepts waits in the backlog. The server is started by a keeper (:mod:`voxgate_gates.keeper`), a
small process that stops the whole tree and removes its files when the harness closes a pipe, or dies.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from voxgate_gates import keeper
from voxgate_gates.redaction import ISSUER_KEY, KEY, Redactor
from voxgate_gates.target import Target

__all__ = [
    "SERVE",
    "SETTINGS",
    "VOXGATE",
    "Credentials",
    "Kept",
    "StartFailed",
    "StopFailed",
    "assert_refuses",
    "running_server",
    "running_target",
]

VOXGATE: Final = (sys.executable, "-m", "voxgate_gateway")
"""This environment's own `voxgate`. A name, not an import: the gates know no other package."""

SERVE: Final = (*VOXGATE, "serve")
"""The command that serves; ``--fd N`` is added."""

READY_SECONDS: Final = 30.0
"""From start to the ready line, on a machine that is busy installing something else."""

STOP_SECONDS: Final = keeper.GRACE_SECONDS + 2 * keeper.REAP_SECONDS + 4.0
"""How long the keeper may take to stop everything before it is killed itself."""

READY_BYTES: Final = 16 * 1024
"""The longest ready line."""

TAIL_BYTES: Final = 8 * 1024
"""What is kept of the server's stderr, for the message that says why it did not start."""

BACKLOG: Final = 128

ORIGIN: Final = "https://app.gates.test"
OTHER_ORIGIN: Final = "https://other.gates.test"

SETTINGS: Final = (
    "VOXGATE_", "ALLOWED_ORIGINS", "JWT_SECRET", "ENABLE_WS_PROXY", "OPENAI_", "AZURE_", "REMOTE_PHP", "ALLOW_REMOTE_PHP",
    "HEALTH_URL",
)  # fmt: skip
"""Beginnings of the settings a server reads: none is inherited, so that a run means the same everywhere."""

_ALONE: Final = {"VOXGATE_FANOUT_FILE": os.devnull}
"""A file that a server would find in the working directory by itself: it gets an empty one, for the same reason.

It does not get another directory, because a ``--serve-command`` may be a path relative to this one.
"""


class StartFailed(Exception):
    """The server did not become ready. ``reason`` is a sentence; ``tail`` the end of its stderr."""

    def __init__(self, reason: str, tail: str = "") -> None:
        self.reason = reason
        self.tail = tail.strip()
        super().__init__(f"{reason}\n{self.tail}" if self.tail else reason)


class StopFailed(Exception):
    """Something of the server was still there after it was stopped."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Fresh secrets for one run, none of which any other run can use."""

    operator_key: str = field(default_factory=lambda: f"vk_{secrets.token_urlsafe(32)}", repr=False)
    issuer_key: str = field(default_factory=lambda: f"vk_{secrets.token_urlsafe(32)}", repr=False)
    signing_secret: str = field(default_factory=lambda: secrets.token_urlsafe(36), repr=False)

    def redactor(self) -> Redactor:
        """A redactor that knows all of them."""
        return Redactor([(self.operator_key, KEY), (self.issuer_key, ISSUER_KEY), (self.signing_secret, "$SECRET")])

    def environment(self, name: str) -> dict[str, str]:
        """The settings that make a server know them; keys are handed over as hashes only."""
        rows = (("gates", "operator", self.operator_key), ("gates-issuer", "issuer", self.issuer_key))
        stored = [f"{who}:{role}:{hashlib.sha256(key.encode()).hexdigest()}" for who, role, key in rows]
        return {
            "VOXGATE_ENV": name,
            "ALLOWED_ORIGINS": f"{ORIGIN},{OTHER_ORIGIN}",
            "JWT_SECRET": f"gate:{self.signing_secret}",
            "VOXGATE_API_KEYS": ",".join(stored),
            "VOXGATE_UPSTREAM": "engine",
        }


@asynccontextmanager
async def running_target(
    environment: str = "preview",
    *,
    command: Sequence[str] = SERVE,
    voxgate: Sequence[str] = VOXGATE,
    ready_seconds: float = READY_SECONDS,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Target]:
    """The real server with fresh credentials, as a :class:`Target` that has ``voxgate`` as its command.

    ``settings`` are given to the server beside those of the credentials.

    Raises what :func:`running_server` raises; a server's last words are shown without the credentials.
    """
    made = Credentials()
    async with contextlib.AsyncExitStack() as stack:
        told = {**made.environment(environment), **(settings or {})}
        server = running_server(told, command=command, ready_seconds=ready_seconds)
        try:
            url = await stack.enter_async_context(server)
        except StartFailed as failed:
            hide = made.redactor().text
            raise StartFailed(hide(failed.reason), hide(failed.tail)) from None
        yield Target(
            url,
            environment,
            key=made.operator_key,
            issuer_key=made.issuer_key,
            origin=ORIGIN,
            other_origin=OTHER_ORIGIN,
            secrets=(made.signing_secret,),
            command=tuple(voxgate),
        )


@asynccontextmanager
async def running_server(
    settings: Mapping[str, str], *, command: Sequence[str] = SERVE, ready_seconds: float = READY_SECONDS
) -> AsyncIterator[str]:
    """Start a server and yield the URL of its ready line; stop it and everything it started on the way out.

    Raises :class:`StartFailed` when it does not become ready, :class:`StopFailed` when something is left over.
    """
    data_dir = Path(tempfile.gettempdir(), f"voxgate-gates-{secrets.token_hex(8)}")
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        port: int = listener.getsockname()[1]
        kept = await Kept.start(
            (*command, "--fd", str(listener.fileno())), data_dir, {**_ALONE, **settings}, listener.fileno()
        )
        # Only the server may hold the port from here on, or nobody would notice that it is gone.
    try:
        yield await kept.ready(port, ready_seconds)
    finally:
        await kept.stop()
        shutil.rmtree(data_dir, ignore_errors=True)
    assert_refuses(port)


class Kept:
    """The keeper process, its control pipe, and what the server says."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        control: int,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader,
    ) -> None:
        self._process = process
        self._control = control
        self._stdout = stdout
        self._tail = bytearray()
        self._transports: list[asyncio.ReadTransport] = []
        self._reading = [asyncio.create_task(self._keep_tail(stderr))]

    @classmethod
    async def start(cls, command: Sequence[str], data_dir: Path, settings: Mapping[str, str], listener: int) -> "Kept":
        """Have the keeper run ``command``, which inherits the descriptor ``listener`` and no settings but these."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        control_read, control_write = os.pipe()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        arguments = (str(control_read), str(listener), str(data_dir), *command)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                keeper.__file__,
                *arguments,
                stdin=subprocess.DEVNULL,
                stdout=out_write,
                stderr=err_write,
                env={**inherited, **settings},
                pass_fds=(control_read, listener),
                start_new_session=True,  # the terminal's Ctrl-C is the harness's to handle
            )
        except BaseException:
            for descriptor in (control_write, out_read, err_read):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (control_read, out_write, err_write):
                os.close(descriptor)
        stdout, out_transport = await _reader(out_read)
        stderr, err_transport = await _reader(err_read)
        kept = cls(process, control_write, stdout, stderr)
        kept._transports += [out_transport, err_transport]
        return kept

    async def ready(self, port: int, seconds: float) -> str:
        """The URL of the ready line. Raises :class:`StartFailed`."""
        line = await self.line(seconds)
        url = _url_of(line)
        if url is None or urlsplit(url).port != port:
            shown = line.decode("utf-8", "replace").strip()[:200]
            raise StartFailed(f"the server printed {shown!r} where its ready line was expected", self._stderr_text())
        self.drain()
        return url

    async def line(self, seconds: float) -> bytes:
        """The next line of its stdout. Raises :class:`StartFailed` when there is none in time."""
        try:
            async with asyncio.timeout(seconds):
                line = await self._stdout.readline()
        except TimeoutError:
            raise StartFailed(f"the server printed no ready line within {seconds:g} s", self._stderr_text()) from None
        except ValueError:
            raise StartFailed(
                f"the server's first line is longer than {READY_BYTES} bytes", self._stderr_text()
            ) from None
        if not line.endswith(b"\n"):
            status = await self._status()
            raise StartFailed(f"the server ended before it was ready, with status {status}", self._stderr_text())
        return line

    def drain(self) -> None:
        """Read and forget the rest of its stdout, so that it never waits for a reader."""
        self._reading.append(asyncio.create_task(_drain(self._stdout)))

    async def stop(self) -> None:
        """Let the keeper stop everything; kill it when it can't. Not to be cut short by a cancellation."""
        os.close(self._control)
        stopping = asyncio.create_task(self._finish())
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)
        stopping.result()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()  # the server dies with it: PR_SET_PDEATHSIG
            await self._process.wait()
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        for transport in self._transports:
            transport.close()
        await asyncio.sleep(0)  # a transport closes on the loop's next turn

    async def _status(self) -> object:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            return "unknown"

    def _stderr_text(self) -> str:
        return self._tail.decode("utf-8", "replace")

    async def _keep_tail(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(4096):
            self._tail += chunk
            del self._tail[:-TAIL_BYTES]


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(limit=READY_BYTES)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", buffering=0)
    )
    return stream, transport


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(4096):
        continue


def _url_of(line: bytes) -> str | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("event") != "ready" or not isinstance(event.get("pid"), int):
        return None
    url = event.get("url")
    return url if isinstance(url, str) and urlsplit(url).hostname in ("127.0.0.1", "localhost") else None


def assert_refuses(port: int) -> None:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise StopFailed(f"port {port} still answers after the server was stopped")
