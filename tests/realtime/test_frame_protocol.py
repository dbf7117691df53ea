"""The contract with picows: what voxgate uses of a class that is not in its documentation."""

import asyncio
import logging
import socket
from importlib.metadata import version

import pytest
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponseWithListener,
)

from tests.realtime.peers import echo, gateway, model_server
from voxgate_realtime.frame_protocol import FrameProtocol, make_protocol

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # the example of RFC 6455 section 1.3


class Listener(WSListener):
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.arrived = asyncio.Event()
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.texts.append(frame.get_payload_as_utf8_text())
        self.arrived.set()


def masked_text(payload: bytes) -> bytes:
    """A client's text frame, its mask all zeroes."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + payload


async def connected_transport() -> tuple[asyncio.Transport, socket.socket]:
    ours, theirs = socket.socketpair()
    reserved = socket.create_server(("127.0.0.1", 0))
    theirs.close()
    ours.close()
    client = socket.create_connection(reserved.getsockname())
    accepted, _ = reserved.accept()
    reserved.close()
    accepted.setblocking(False)
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, accepted)
    return transport, client


async def test_the_class_takes_what_we_give_it_and_answers_101() -> None:
    listener = Listener()
    frames = FrameProtocol(listener, headers={"Sec-WebSocket-Protocol": "realtime"}, max_frame=1024)
    transport, client = await connected_transport()
    frames.start(transport, KEY)
    transport.set_protocol(frames.protocol)
    answer = await asyncio.get_running_loop().run_in_executor(None, client.recv, 4096)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert ACCEPT in answer
    assert b"Sec-WebSocket-Protocol: realtime\r\n" in answer
    assert listener.transport is not None
    client.send(masked_text(b"hello"))
    await listener.arrived.wait()
    assert listener.texts == ["hello"]
    listener.transport.send(WSMsgType.TEXT, b"back")
    assert await asyncio.get_running_loop().run_in_executor(None, client.recv, 4096) == b"\x81\x04back"
    transport.abort()
    client.close()


async def test_bytes_larger_than_the_read_buffer_are_fed_whole() -> None:
    listener = Listener()
    frames = FrameProtocol(listener, headers={}, max_frame=65535)
    transport, client = await connected_transport()
    frames.start(transport, KEY)
    frames.feed(masked_text(b"x" * 60_000))
    assert listener.texts == ["x" * 60_000]
    transport.abort()
    client.close()


def test_another_picows_is_named_in_the_error() -> None:
    class Changed:
        def __init__(self, only: object) -> None:
            self.only = only

    def accept(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        raise AssertionError("nobody connects in this test")

    with pytest.raises(RuntimeError, match=r"picows>=2\.3,<2\.4"):
        make_protocol(Changed, accept, 1024)


def test_the_installed_picows_is_the_one_that_was_read() -> None:
    assert version("picows").startswith("2.3.")


async def test_a_peer_that_breaks_the_protocol_writes_nothing_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with model_server(echo) as url, gateway(url) as gw:
        for broken in (b"\xff\xff\xff\xff", b"\x81\x05hello", b"\x89" + b"\xff" * 9):
            reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
            writer.write(
                b"GET /realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            writer.write(broken)
            assert (await reader.read())[:1] == b"\x88"  # a close frame
            writer.close()
    assert [record for record in caplog.records if record.name.startswith("voxgate")] == []


def test_an_exception_is_logged_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise RuntimeError("ours")
    except RuntimeError:
        logging.getLogger("voxgate.realtime.frames.17").exception("in a callback")
    told = {(record.name, record.levelname, record.message) for record in caplog.records}
    assert told == {("voxgate.realtime.frames", "ERROR", "in a callback")}
