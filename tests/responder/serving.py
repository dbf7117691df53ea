"""A real uvicorn server on a loopback port, and a client that sends the bytes it is told to."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from voxgate_responder import http_protocol

PATIENCE = 10.0
"""Seconds after which a test that waits for the server fails."""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One HTTP answer as it came over the wire; header names in lower case."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


@asynccontextmanager
async def serving(app: ASGIApp, http: type[asyncio.Protocol] | None = None, **settings: Any) -> AsyncIterator[int]:
    """Serve ``app`` until the context ends; yields the port, at which connections already queue."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = uvicorn.Config(
        app,
        http=http or http_protocol(),
        **{"ws": "none", "log_config": None, "access_log": False, "lifespan": "off", **settings},
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, PATIENCE)
        listener.close()


class RawClient:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self, *, head_only: bool = False) -> RawAnswer:
        """The next answer, framed by its Content-Length."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
            assert len(headers) == len(lines) - 1, f"a header came twice: {lines}"
            size = 0 if head_only else int(headers.get("content-length", 0))
            body = await self.reader.readexactly(size)
        return RawAnswer(int(lines[0].split(" ")[1]), headers, body)

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            # The server may have cut the connection first: some tests are about that.
            assert writer.transport.is_closing()


async def exchange(port: int, request: bytes, *, head_only: bool = False) -> RawAnswer:
    """Send one request on a connection of its own; its answer."""
    async with connected(port) as client:
        await client.send(request)
        return await client.answer(head_only=head_only)
