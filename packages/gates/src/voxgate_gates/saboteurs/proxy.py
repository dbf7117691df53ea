"""The lying proxy: a loopback port in front of an honest target that lets everything pass but for one lie.

With no lie it changes nothing that a client could tell from a slow line. Each HTTP connection carries one request, as
those of the checks do; a WebSocket is passed on frame by frame where the lie wants to see frames, else byte by byte.
"""

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from voxgate_gates.saboteurs.messages import HEAD_END, Answer, Request, frame_length, read_frame
from voxgate_gates.saboteurs.saboteur import Exchange, Lie, OnFrame, World
from voxgate_gates.target import Target

__all__ = ["lying_proxy"]

HEAD_BYTES: Final = 64 * 1024
"""The longest head of a message; what is longer is passed on unread."""

BODY_BYTES: Final = 32 * 1024 * 1024
"""The largest body or frame: above the largest that a check sends."""

CHUNK: Final = 256 * 1024

LINGER_SECONDS: Final = 10.0
"""How long a client may go on sending after its session has ended."""

QUIET_SECONDS: Final = 0.25
"""A client that sent nothing for so long has sent what it had."""

ANSWER_SECONDS: Final = 30.0
"""How long the honest target may take to answer."""

_Read = Callable[[int], Awaitable[bytes]]
_Send = Callable[[bytes], Awaitable[None]]


@asynccontextmanager
async def lying_proxy(url: str, lie: Lie, target: Target) -> AsyncIterator[str]:
    """The URL of a proxy in front of ``url`` that lies as ``lie`` says; ``target`` tells it the run's keys."""
    parts = urlsplit(url)
    proxy = _Proxy(parts.hostname or "", parts.port or 80, lie, target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=HEAD_BYTES)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()


class _Proxy:
    def __init__(self, host: str, port: int, lie: Lie, target: Target) -> None:
        self._host, self._port, self._lie = host, port, lie
        self._world = World(
            target.key or "", target.issuer_key or "", target.origin or "", target.other_origin or "", self._ask
        )
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            # A peer that hangs up early has no more to say; the check on the other side judges that.
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                await self._serve(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(HEAD_END)
        try:
            request = Request.of_head(head)
        except ValueError:
            if self._lie.nonsense is not None:
                writer.write(self._lie.nonsense)
                await writer.drain()
                return
            async with self._upstream() as far:
                await _both(_pipe(reader.read, far.send, head), _pipe(far.read, _sender(writer)))
            return
        size = int(request.headers.get("content-length") or 0)
        request.body = await reader.readexactly(min(size, BODY_BYTES))
        exchange = Exchange(request, self._world)
        instead = await self._lie.request(exchange) if self._lie.request else None
        if instead is not None:
            writer.write(instead.to_bytes())
            await writer.drain()
        elif request.is_socket:
            await self._socket(exchange, reader, writer)
        else:
            answer = await self._ask(request)
            self._note(request, answer)
            if self._lie.answer:
                self._lie.answer(exchange, answer)
            writer.write(answer.to_bytes())
            await writer.drain()

    async def _ask(self, request: Request) -> Answer:
        async with self._upstream() as far, asyncio.timeout(ANSWER_SECONDS):
            sending = asyncio.create_task(far.send(request.to_bytes()))
            try:  # the answer may come before the request is through: a body too large is not read to its end
                answer = Answer.of_head(await far.read_until(HEAD_END))
                answer.body = await far.read(BODY_BYTES) if request.method == "HEAD" else await _body(far, answer)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            return answer

    def _note(self, request: Request, answer: Answer) -> None:
        """Remember the tokens that are issued: a lie about a token has to know it."""
        if request.method != "POST" or answer.status != 200 or b'"token"' not in answer.body:
            return
        with contextlib.suppress(ValueError, LookupError, TypeError):
            self._world.minted[str(answer.json()["data"]["token"])] = (request.copy(), time.monotonic())

    async def _socket(self, exchange: Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._upstream() as far:
            await far.send(exchange.request.to_bytes())
            answer = Answer.of_head(await far.read_until(HEAD_END))
            if answer.status != 101:
                answer.body = await _body(far, answer)
            if self._lie.answer:
                self._lie.answer(exchange, answer)
            back = _sender(writer)
            await back(answer.to_bytes())
            if answer.status != 101:
                return
            await _both(
                self._frames(exchange, reader.read, far.send, self._lie.to_server, is_client=True),
                self._frames(exchange, far.read, back, self._lie.to_client, is_client=False),
            )
            await _linger(reader)

    async def _frames(
        self,
        exchange: Exchange,
        read: _Read,
        send: _Send,
        change: OnFrame | None,
        *,
        is_client: bool,
    ) -> None:
        if change is None:
            await _pipe(read, send)
            return
        waiting = bytearray()
        while chunk := await read(CHUNK):
            waiting += chunk
            while (size := frame_length(waiting)) is not None and len(waiting) >= size:
                frame = read_frame(bytes(waiting[:size]))
                del waiting[:size]
                for sent in await change(exchange, frame):
                    await send(sent.to_bytes(secrets.token_bytes(4) if is_client else None))

    @asynccontextmanager
    async def _upstream(self) -> AsyncIterator["_Line"]:
        with socket.socket() as connection:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, (self._host, self._port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield _Line(connection)


class _Line:
    """The connection to the target.

    Unlike asyncio's streams it can be read to its end after a write has failed: a target that does not want the rest of a
    message says so in the close frame that it sends before it hangs up.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting = bytearray()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._connection, data)

    async def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if not self._waiting:
            return await asyncio.get_running_loop().sock_recv(self._connection, min(size, CHUNK))
        return self._taken(min(size, len(self._waiting)))

    async def read_exactly(self, size: int) -> bytes:
        """Raises ``EOFError`` when the end comes before."""
        while len(self._waiting) < size:
            await self._wait_for_more()
        return self._taken(size)

    async def read_until(self, mark: bytes) -> bytes:
        """Up to and including ``mark``. Raises ``EOFError`` when the end comes before, or HEAD_BYTES."""
        while (at := self._waiting.find(mark)) < 0:
            if len(self._waiting) > HEAD_BYTES:
                raise EOFError("too long a head")
            await self._wait_for_more()
        return self._taken(at + len(mark))

    async def _wait_for_more(self) -> None:
        chunk = await asyncio.get_running_loop().sock_recv(self._connection, CHUNK)
        if not chunk:
            raise EOFError("the target hung up")
        self._waiting += chunk

    def _taken(self, size: int) -> bytes:
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken


def _sender(writer: asyncio.StreamWriter) -> _Send:
    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    return send


async def _body(far: _Line, answer: Answer) -> bytes:
    """The body by its length, by its chunks, or to the end; a chunked one becomes plain."""
    if "chunked" in answer.headers.get("transfer-encoding").lower():
        body = bytearray()
        while size := int((await far.read_until(b"\r\n")).split(b";")[0], 16):
            body += (await far.read_exactly(size + 2))[:-2]
        del answer.headers["transfer-encoding"]
        answer.headers["content-length"] = str(len(body))
        return bytes(body)
    if "content-length" in answer.headers:
        return await far.read_exactly(int(answer.headers.get("content-length")))
    whole = bytearray()
    while chunk := await far.read(CHUNK):
        whole += chunk
    return bytes(whole)


async def _pipe(read: _Read, send: _Send, first: bytes = b"") -> None:
    if first:
        await send(first)
    while chunk := await read(CHUNK):
        await send(chunk)


async def _linger(reader: asyncio.StreamReader) -> None:
    """Read what a client is still sending, then hang up: a reset would take from it the close frame that was sent last.

    To hang up is the server's part (RFC 6455 section 7.1.1): the client waits for it before it tells of the close.
    """
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while await asyncio.wait_for(reader.read(CHUNK), QUIET_SECONDS):
                continue


async def _both(up: Coroutine[object, object, None], down: Coroutine[object, object, None]) -> None:
    """Both directions, until the target has no more to say or the client has hung up.

    A target that no longer listens may still speak: the close frame of a message too large comes that way.
    """
    upward, downward = asyncio.create_task(up), asyncio.create_task(down)
    try:
        await asyncio.wait((upward, downward), return_when=asyncio.FIRST_COMPLETED)
        if upward.done() and upward.exception() is not None:
            await asyncio.wait((downward,), timeout=LINGER_SECONDS)
    finally:
        for task in (upward, downward):
            task.cancel()
        await asyncio.gather(upward, downward, return_exceptions=True)
