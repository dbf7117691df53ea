"""Load for a relay: an upstream that answers every message with itself, and clients that wait for each answer."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

from benchmarks.peers.relays import Relay

__all__ = ["Client", "drive", "echo_server", "message_of", "open_clients"]


def message_of(size: int) -> bytes:
    """An append of exactly ``size`` bytes."""
    head, tail = b'{"type":"input_audio_buffer.append","audio":"', b'"}'
    return head + b"A" * (size - len(head) - len(tail)) + tail


class _Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()


@contextlib.asynccontextmanager
async def echo_server() -> AsyncIterator[str]:
    """A WebSocket server that sends every message back; its URL."""

    def accept(request: WSUpgradeRequest) -> WSListener:
        return _Echo()

    server = await ws_create_server(accept, "127.0.0.1", 0, use_aiofastnet=False, logger_name="bench.echo")
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"ws://127.0.0.1:{port}/v1/realtime"
    finally:
        server.close()


@dataclass
class Client(WSListener):
    """One connection with one message on its way at a time."""

    left: int = 0
    message: bytes = b""
    sent_at: int = 0
    round_trips: list[int] = field(default_factory=list)
    transport: WSTransport | None = None
    finished: asyncio.Future[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        self.round_trips.append(time.perf_counter_ns() - self.sent_at)
        self.left -= 1
        if self.left > 0:
            self._send()
        elif self.finished is not None and not self.finished.done():
            self.finished.set_result(None)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.finished is not None and not self.finished.done():
            self.finished.set_exception(ConnectionError("the relay closed a connection under load"))

    def start(self, count: int, message: bytes) -> asyncio.Future[None]:
        """Send ``count`` messages, each once the one before came back."""
        self.left = count
        self.message = message
        self.round_trips = []
        self.finished = asyncio.get_running_loop().create_future()
        self._send()
        return self.finished

    def _send(self) -> None:
        assert self.transport is not None
        self.sent_at = time.perf_counter_ns()
        self.transport.send(WSMsgType.TEXT, self.message)


@contextlib.asynccontextmanager
async def open_clients(relay: Relay, count: int) -> AsyncIterator[list[Client]]:
    """``count`` connections through ``relay``, each proven by one message there and back."""
    clients: list[Client] = []
    try:
        for _ in range(count):
            client = Client()
            await ws_connect(
                lambda made=client: made,
                relay.url,
                extra_headers=relay.headers,
                use_aiofastnet=False,
                logger_name="bench.client",
            )
            clients.append(client)
            await client.start(1, message_of(64))
        yield clients
    finally:
        for client in clients:
            if client.transport is not None:
                client.finished = None
                client.transport.send_close()
                client.transport.disconnect()


async def drive(clients: list[Client], count: int, size: int) -> list[int]:
    """``count`` round trips of ``size`` bytes on every connection; each one's nanoseconds."""
    message = message_of(size)
    await asyncio.gather(*(client.start(count, message) for client in clients))
    return [nanoseconds for client in clients for nanoseconds in client.round_trips]
