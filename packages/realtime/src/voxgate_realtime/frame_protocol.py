"""picows' server-side protocol, the one module that touches it.

The class is not part of picows' documented API, so it is pinned below 2.4 and `tests/realtime/test_frame_protocol.py`
holds the contract: constructor, `connection_made`, `get_buffer`/`buffer_updated`, listener callbacks.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from picows import (
    WSAutoPingStrategy,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]

__all__ = ["FrameProtocol", "make_protocol", "sender"]

COPIED: Final = 8192
"""Bytes up to which picows copies a server's message together with its frame header before writing it."""

HEADER_ROOM: Final = 14
"""Bytes picows wants free in front of a message that it frames in place."""

READ_BUFFER: Final = 4096
"""Bytes a connection's read buffer starts with; it grows to the largest frame."""


class _PassOn(logging.Handler):
    """Passes on what picows logs, as far as it is ours to know: exceptions. That a peer breaks the protocol is the peer's
    business, and anybody can do it as often as they like; it is there at level DEBUG."""

    def emit(self, record: logging.LogRecord) -> None:
        record.name = _logger.name  # picows logs under one name for each file descriptor
        if record.exc_info is None:
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        if _parent.isEnabledFor(record.levelno):
            _parent.handle(record)


_parent = logging.getLogger("voxgate.realtime")
_logger = _parent.getChild("frames")
_logger.setLevel(logging.ERROR)  # below, picows reports every connection and every message sent after a close
_logger.propagate = False
_logger.handlers = [_PassOn()]


class FrameProtocol:
    """A WebSocket server connection that begins after the upgrade was decided elsewhere.

    ``headers`` go out with the 101; ``protocol`` is what the transport should call from now on. Raises ``RuntimeError`` when picows is not the one
    we know.
    """

    __slots__ = ("protocol",)

    def __init__(self, listener: WSListener, *, headers: Mapping[str, str], max_frame: int) -> None:
        def accept(_: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(dict(headers)), listener)

        self.protocol = make_protocol(WSProtocol, accept, max_frame)

    def start(self, transport: asyncio.Transport, key: bytes) -> None:
        """Answer 101 to a client whose ``Sec-WebSocket-Key`` was ``key``; the listener hears of the connection."""
        self.protocol.connection_made(transport)
        self.feed(
            b"GET / HTTP/1.1\r\nHost: voxgate\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
        )

    def feed(self, data: bytes) -> None:
        """Take bytes that were read for this connection before the transport called ``protocol`` itself."""
        view = memoryview(data)
        while view:
            buffer = self.protocol.get_buffer(-1)
            size = min(len(buffer), len(view))
            buffer[:size] = view[:size]
            self.protocol.buffer_updated(size)
            view = view[size:]


def sender(transport: WSTransport) -> Callable[[WSMsgType, bytes], None]:
    """How to send to a client: ``transport.send``, but safe under back-pressure.

    For a server's message over 8 KiB, picows gives the event loop a view of a header buffer that the next message
    overwrites. A loop that can't write at once keeps that view, and a slow reader would get wrong lengths. Framed in
    place, header and message are one buffer of their own.
    """
    send, send_framed_in_place = transport.send, transport.send_reuse_external_bytearray
    room = bytes(HEADER_ROOM)

    def send_safely(kind: WSMsgType, message: bytes) -> None:
        if len(message) <= COPIED:
            send(kind, message)
        else:
            send_framed_in_place(kind, bytearray(room + message), HEADER_ROOM)

    return send_safely


def make_protocol(
    protocol_class: type, accept: Callable[[WSUpgradeRequest], WSUpgradeResponseWithListener], max_frame: int
) -> Any:
    """An instance of picows' protocol class for one server connection.

    Raises ``RuntimeError`` when the class takes other arguments than those of the pinned versions.
    """
    unused_seconds = 10
    try:
        return cast(Any, protocol_class)(
            None,  # host and port: a client's business
            None,  # path: likewise
            False,  # is_client_side
            accept,
            _logger,
            True,  # disconnect_on_exception
            None,  # handshake timeout: the upgrade is fed at once
            False,  # enable_auto_ping: the relay pings by itself
            unused_seconds,
            unused_seconds,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # enable_auto_pong: a client that never reads must not make us queue pongs
            max_frame,
            None,  # extra headers: a client's business
            READ_BUFFER,
        )
    except TypeError as error:
        raise RuntimeError("this picows has another protocol class: voxgate needs picows>=2.3,<2.4") from error
