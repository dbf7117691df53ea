"""Load for a relay: an upstream that answers every message with itself, and clients at the pace of speech or at full
speed."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator

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

__all__ = ["Client", "echo_server", "message_of", "open_clients", "pace", "saturate"]


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


class Client(WSListener):
    """One connection through a relay. Answers come in the order of the messages."""

    def __init__(self) -> None:
        self.round_trips: list[int] = []
        self._transport: WSTransport | None = None
        self._message = b""
        self._awaited = 0
        self._eager = False
        self._sent: deque[int] = deque()
        self._finished: asyncio.Future[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        self.round_trips.append(time.perf_counter_ns() - self._sent.popleft())
        self._awaited -= 1
        if self._awaited == 0 and self._finished is not None:
            self._finished.set_result(None)
        elif self._eager:
            self.send()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_exception(ConnectionError("the relay closed a connection under load"))

    def expect(self, count: int, message: bytes) -> asyncio.Future[None]:
        """Be ready to :meth:`send` ``message`` ``count`` times; done when every answer is in."""
        self._message = message
        self._awaited = count
        self._eager = False
        self.round_trips = []
        self._finished = asyncio.get_running_loop().create_future()
        return self._finished

    def start(self, count: int, message: bytes) -> asyncio.Future[None]:
        """Send ``count`` messages, each once the one before came back."""
        finished = self.expect(count, message)
        self._eager = True
        self.send()
        return finished

    def send(self) -> None:
        """One message."""
        assert self._transport is not None
        self._sent.append(time.perf_counter_ns())
        self._transport.send(WSMsgType.TEXT, self._message)

    def close(self) -> None:
        """Say goodbye and hang up."""
        self._finished = None
        if self._transport is not None:
            self._transport.send_close()
            self._transport.disconnect()


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
            client.close()


async def saturate(clients: list[Client], count: int, size: int) -> None:
    """``count`` round trips of ``size`` bytes on every connection, each begun when the one before came back."""
    message = message_of(size)
    await asyncio.gather(*(client.start(count, message) for client in clients))


async def pace(clients: list[Client], count: int, size: int, interval: float) -> list[int]:
    """``count`` messages on every connection, one each ``interval`` seconds, as microphones send them.

    Connections take turns within an interval. Returns the round trips, in nanoseconds.
    """
    message = message_of(size)
    loop = asyncio.get_running_loop()
    begin = loop.time() + interval
    ends = []
    for number, client in enumerate(clients):
        ends.append(client.expect(count, message))
        phase = begin + interval * number / len(clients)
        for turn in range(count):
            loop.call_at(phase + turn * interval, client.send)
    await asyncio.gather(*ends)
    return [nanoseconds for client in clients for nanoseconds in client.round_trips]
