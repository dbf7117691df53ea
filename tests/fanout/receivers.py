"""Webhook receivers on loopback: one inside a test that behaves as told, and one in a process of its own that keeps a log.

``python -m tests.fanout.receivers --port 0 --log FILE`` prints one JSON line when it is ready, with its URL, and
appends one JSON line to the log for each event it has read whole.
"""

import argparse
import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import socket
import ssl
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 10.0
"""Seconds after which a test that waits for a receiver fails."""

SEND_BUFFER = 64 * 1024
"""Bytes a receiver's own side of a connection holds: what it calls sent has left for the client but for these."""

LARGEST_REQUEST = 64 * 1024 * 1024
"""Bytes of a request that a receiver reads at most."""

CHUNK = b"x" * 16384
"""A piece of an endless body."""


@dataclass(frozen=True)
class Request:
    """One request, read whole. Names of headers are in lower case; ``connection`` counts connections from one."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Answer:
    """What to do with one request: wait for ``hold``, then write, and then leave the connection as ``then`` says.

    ``raw`` is written as it is in the place of an answer; ``endless`` is written after it again and again. ``then`` is
    ``keep`` (serve the next request), ``close`` (FIN), ``reset`` (RST) or ``hang`` (until the client leaves).
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hold: asyncio.Event | None = None
    raw: bytes | None = None
    endless: bytes | None = None
    then: str = "keep"

    def data(self) -> bytes:
        if self.raw is not None:
            return self.raw
        bodiless = self.status == 204 or self.status == 304
        length = {} if bodiless or "transfer-encoding" in self.headers else {"content-length": str(len(self.body))}
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else "Other"
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in {**length, **self.headers}.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def huge(total: int = 1 << 30) -> Answer:
    """An answer whose body is said to have ``total`` bytes, and does not end."""
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {total}\r\n\r\n"
    return Answer(raw=head.encode(), endless=CHUNK)


HANG = Answer(raw=b"", then="hang")
"""Reads the request and says nothing."""

RESET = Answer(raw=b"", then="reset")
"""Reads the request and resets the connection."""

CLOSE = Answer(raw=b"", then="close")
"""Reads the request and closes the connection."""


class Receiver:
    """A server on a loopback port of its own, from entering the context to leaving it.

    Each request takes the next of ``answers``, and ``default`` when none is left; ``greeting`` is sent to whoever
    connects, before any request. ``received`` are the requests in the
    order in which they were read whole, ``connections`` counts those accepted, ``open`` those not yet closed, ``sent``
    the bytes written, ``server_names`` the names that clients asked for by SNI.
    """

    def __init__(
        self,
        *answers: Answer,
        default: Answer | None = None,
        greeting: bytes = b"",
        ssl_context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.answers = deque(answers)
        self.default = default or Answer()
        self.greeting = greeting
        self.received: list[Request] = []
        self.connections = 0
        self.open = 0
        self.sent = 0
        self.server_names: list[str | None] = []
        self.port = 0
        self._host = host
        self._ssl = ssl_context
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        if self._ssl is not None:
            self._ssl.sni_callback = lambda _, name, __: self.server_names.append(name)
        listener = socket.create_server(
            (self._host, 0), family=socket.AF_INET6 if ":" in self._host else socket.AF_INET
        )
        # Whatever it accepts inherits this.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._accepted, sock=listener, ssl=self._ssl, limit=LARGEST_REQUEST)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where events go: the path is ``/hook``."""
        return self.url_of(f"[{self._host}]" if ":" in self._host else self._host)

    def url_of(self, host: str, path: str = "/hook") -> str:
        """The same under another name for it."""
        return f"{'http' if self._ssl is None else 'https'}://{host}:{self.port}{path}"

    async def has_received(self, count: int) -> None:
        """Wait until ``count`` requests have been read whole."""
        await self._until(lambda: len(self.received) >= count)

    async def is_left(self) -> None:
        """Wait until no connection is open."""
        await self._until(lambda: not self.open)

    async def close_idle(self) -> None:
        """Close every connection that is open, as a server does with idle ones."""
        for writer in self._writers:
            writer.close()
        await self.is_left()

    async def push(self, data: bytes) -> None:
        """Send ``data`` on every open connection, asked or not."""
        for writer in list(self._writers):
            with contextlib.suppress(ConnectionError):
                await self._write(writer, data)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.open += 1
        writer.transport.set_write_buffer_limits(high=1, low=0)  # under TLS, asyncio pauses for good at zero
        try:
            # Cancelled only as this receiver ends, and asyncio would log that as an error.
            quiet = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError)
            with contextlib.suppress(*quiet):
                await self._serve(reader, writer, self.connections)
        finally:
            # No waiting for the client's side: a test may be about a client that never closes.
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)
            self.open -= 1
            await self._tell()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        await self._write(writer, self.greeting)
        while True:
            self.received.append(await _read_request(reader, connection))
            answer = self.answers.popleft() if self.answers else self.default
            await self._tell()
            if answer.hold is not None:
                await answer.hold.wait()
            await self._write(writer, answer.data())
            while answer.endless is not None:
                await self._write(writer, answer.endless)
            if answer.then == "reset":
                reset(writer)
                return
            if answer.then == "close":
                writer.close()
                await writer.wait_closed()
                return
            if answer.then == "hang":
                await reader.read()
                return

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()
        self.sent += len(data)


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body, connection)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, under TLS too."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


class Recorder(asyncio.Protocol):
    """The receiver in a process: made for thousands of events a second, and for a log that survives a kill of it."""

    def __init__(self, log: int, order: Iterator[int], answer: bytes) -> None:
        self._log = log
        self._order = order
        self._answer = answer
        self._waiting = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
            size = end + 4 + int(headers.get("content-length", 0))
            if len(self._waiting) < size:
                return
            body, self._waiting = self._waiting[end + 4 : size], self._waiting[size:]
            line = {
                "order": next(self._order),
                "id": headers.get("webhook-id"),
                "sha256": hashlib.sha256(body).hexdigest(),
                "path": head[0].split(" ")[1],
            }
            # Logged before the answer: what the sender holds for delivered is in the log.
            os.write(self._log, json.dumps(line).encode() + b"\n")
            self._transport.write(self._answer)


@contextlib.asynccontextmanager
async def receiver_process(log: Path, *options: str) -> AsyncIterator[str]:
    """Run this module as a process until the block ends; yields its URL. ``options`` are those of the command line."""
    command = [sys.executable, "-m", "tests.fanout.receivers", "--log", str(log), *options]
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(*command, cwd=root, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            ready = json.loads(await process.stdout.readline())
        yield ready["url"]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def logged(log: Path) -> list[dict[str, object]]:
    """The events in the log of a receiver process, in the order in which it read them."""
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


async def _run(port: int, log: Path, status: int) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    answer, order = Answer(status).data(), itertools.count(1)
    server = await asyncio.get_running_loop().create_server(
        lambda: Recorder(descriptor, order, answer), "127.0.0.1", port, backlog=1024
    )
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    sys.stdout.write(json.dumps({"event": "ready", "url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    await server.serve_forever()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fanout.receivers", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--log", type=Path, required=True, help="file to which a JSON line per event is appended")
    parser.add_argument("--status", type=int, default=200, help="what every event is answered with")
    options = parser.parse_args(arguments)
    asyncio.run(_run(options.port, options.log, options.status))


if __name__ == "__main__":
    main()
