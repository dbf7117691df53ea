"""A receiver of webhooks that costs as little as one in Python can: it counts, and answers 204.

Run as a program it prints its URL, and one that shows a certificate nobody trusts. ``GET /count`` answers how many POSTs
came. A POST to ``/hang…`` gets no answer, to ``/500`` an error, to ``/reset`` a reset, to ``/huge`` a body of 1 GB.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import httptools
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DONE = b"HTTP/1.1 204 No Content\r\n\r\n"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
HUGE = 10**9
PIECE = bytes(64 * 1024)


@dataclass(slots=True)
class Count:
    """POSTs of every connection."""

    posts: int = 0


class Exchange(asyncio.Protocol):
    """One connection."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._url = b""
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._is_full = False
        self._left = HUGE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_message_complete(self) -> None:
        assert self._transport is not None
        if self._url.startswith(b"/count"):
            body = json.dumps({"posts": self._count.posts}).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        elif self._url.startswith(b"/hang"):
            return
        elif self._url == b"/500":
            self._transport.write(FAILED)
        elif self._url == b"/reset":
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        elif self._url == b"/huge":
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE)
            self.resume_writing()
        else:
            self._count.posts += 1
            self._transport.write(DONE)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        """Go on with the huge body, until the peer has had enough of it."""
        assert self._transport is not None
        self._is_full = False
        while self._url == b"/huge" and not self._is_full and not self._transport.is_closing() and self._left > 0:
            self._left -= len(PIECE)
            self._transport.write(PIECE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._left = 0


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, str]]:
    """The two URLs of a receiver in a process of its own."""
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url, secure_url = (await process.stdout.readline()).decode().split()
        yield url, secure_url
    finally:
        process.terminate()
        await process.wait()


async def serve() -> None:
    """Serve until killed."""
    count, loop = Count(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(count), "127.0.0.1", 0, backlog=4096)
    secure = await loop.create_server(lambda: Exchange(count), "127.0.0.1", 0, ssl=untrusted())
    ports = [each.sockets[0].getsockname()[1] for each in (server, secure)]
    print(f"http://127.0.0.1:{ports[0]} https://127.0.0.1:{ports[1]}", flush=True)
    await asyncio.gather(server.serve_forever(), secure.serve_forever())


def untrusted() -> ssl.SSLContext:
    """A certificate signed by itself, for a name that is not asked for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elsewhere.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, SHA256())
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate.public_bytes(Encoding.PEM))
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        context.load_cert_chain(file.name)
    return context


if __name__ == "__main__":
    uvloop.run(serve())
