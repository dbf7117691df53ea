"""The lying proxy: a loopback port in front of an honest target that lets everything pass but for one lie.

With no lie it changes nothing that a client could tell from a slow line. Each HTTP connection carries one request, as
those of the checks do; a WebSocket is passed on frame by frame where the lie wants to see frames, else byte by byte.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
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
            async with self._upstream() as (far_reader, far_writer):
                await _both(_pipe(reader, far_writer, head), _pipe(far_reader, writer))
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
        async with self._upstream() as (reader, writer), asyncio.timeout(ANSWER_SECONDS):
            sending = asyncio.create_task(_write(writer, request.to_bytes()))
            try:  # the answer may come before the request is through: a body too large is not read to its end
                answer = Answer.of_head(await reader.readuntil(HEAD_END))
                answer.body = await reader.read(BODY_BYTES) if request.method == "HEAD" else await _body(reader, answer)
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
        async with self._upstream() as (far_reader, far_writer):
            await _write(far_writer, exchange.request.to_bytes())
            answer = Answer.of_head(await far_reader.readuntil(HEAD_END))
            if answer.status != 101:
                answer.body = await _body(far_reader, answer)
            if self._lie.answer:
                self._lie.answer(exchange, answer)
            await _write(writer, answer.to_bytes())
            if answer.status != 101:
                return
            await _both(
                self._frames(exchange, reader, far_writer, self._lie.to_server, is_client=True),
                self._frames(exchange, far_reader, writer, self._lie.to_client, is_client=False),
            )
            await _linger(reader)

    async def _frames(
        self,
        exchange: Exchange,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        change: OnFrame | None,
        *,
        is_client: bool,
    ) -> None:
        if change is None:
            await _pipe(reader, writer)
            return
        waiting = bytearray()
        while chunk := await reader.read(CHUNK):
            waiting += chunk
            while (size := frame_length(waiting)) is not None and len(waiting) >= size:
                frame = read_frame(bytes(waiting[:size]))
                del waiting[:size]
                for sent in await change(exchange, frame):
                    writer.write(sent.to_bytes(secrets.token_bytes(4) if is_client else None))
            await writer.drain()

    @asynccontextmanager
    async def _upstream(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=HEAD_BYTES)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _body(reader: asyncio.StreamReader, answer: Answer) -> bytes:
    """The body by its length, by its chunks, or to the end; a chunked one becomes plain."""
    if "chunked" in answer.headers.get("transfer-encoding").lower():
        body = bytearray()
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        del answer.headers["transfer-encoding"]
        answer.headers["content-length"] = str(len(body))
        return bytes(body)
    if "content-length" in answer.headers:
        return await reader.readexactly(int(answer.headers.get("content-length")))
    whole = bytearray()
    while chunk := await reader.read(CHUNK):
        whole += chunk
    return bytes(whole)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b"") -> None:
    if first:
        await _write(writer, first)
    while chunk := await reader.read(CHUNK):
        await _write(writer, chunk)


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
