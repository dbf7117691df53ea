"""A server on loopback that stands for a PHP backend: it keeps what it got and answers what it was told to."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

__all__ = ["HANG", "FakePhp", "Request"]

HANG = b"\0hang"
"""Stands for a body that never comes."""

CHUNK = b"x" * 65536


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class FakePhp:
    """``announced`` bytes are promised, and written as fast as they are read; ``cut`` bytes of the body are sent."""

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        announced: int | None = None,
        cut: int | None = None,
    ) -> None:
        self._body = body
        self._status = status
        self._headers = headers or {}
        self._announced = announced
        self._cut = cut
        self._open: set[asyncio.StreamWriter] = set()
        self.received: list[Request] = []
        self.asked = asyncio.Event()
        self.written = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.asked.set()  # the caller has left, which some tests are about
        finally:
            self._open.discard(writer)
            writer.transport.abort() if self._cut is None and self._announced else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, target, _ = head[0].split(" ")
            self.received.append(Request(method, target, headers, body))
            self.asked.set()
            if self._body == HANG:
                await reader.read()
                return
            size = len(self._body) if self._announced is None else self._announced
            lines = [f"HTTP/1.1 {self._status} X", f"Content-Length: {size}"]
            lines += [f"{name}: {value}" for name, value in self._headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + self._body[: self._cut])
            await writer.drain()
            if self._cut is not None:
                return
            while self._announced and self.written < size:
                writer.write(CHUNK)
                self.written += len(CHUNK)
                await writer.drain()
