"""One request through the middleware's workings, message by message."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from voxgate_core import new_trace
from voxgate_responder.context import Rendering
from voxgate_responder.exchange import Exchange


class Peer:
    """A transport that hands out the messages it was given and keeps those it is sent."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        return self.messages.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def exchange(self, method: str = "POST", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Exchange:
        scope: Scope = {"type": "http", "method": method, "path": "/api/x", "headers": list(headers)}
        return Exchange(
            scope,
            self.receive,
            self.send,
            trace=new_trace(),
            rendering=Rendering("/api/x"),
            body_limit=10,
            body_timeout=1.0,
        )


def body(data: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


START: Message = {"type": "http.response.start", "status": 200}


async def test_pieces_of_a_body_come_through_as_they_were_sent() -> None:
    peer = Peer(body(b"abc", True), body(b"de"), {"type": "http.disconnect"})
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.extend([await receive(), await receive(), await receive()])

    await peer.exchange(headers=((b"transfer-encoding", b"chunked"),)).run(app)
    assert got == [body(b"abc", True), body(b"de"), {"type": "http.disconnect"}]
    assert peer.sent == []


async def test_a_disconnect_that_the_application_raises_is_nobody_s_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    peer = Peer()
    await peer.exchange().run(app)
    assert peer.sent == []


async def test_the_application_never_sees_head_and_sends_no_body_for_it() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["method"])
        await send(START)
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"def"})
        seen.append((await receive())["type"])

    peer = Peer()
    await peer.exchange("HEAD").run(app)
    assert seen == ["GET", "http.disconnect"]
    assert peer.sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]


async def test_other_messages_of_a_server_s_extensions_pass() -> None:
    early: Message = {"type": "http.response.early_hint", "links": []}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(early)
        await send(START)
        await send({"type": "http.response.body", "body": b"a"})

    peer = Peer()
    await peer.exchange("GET").run(app)
    assert peer.sent[0] is early
    assert dict(peer.sent[1]["headers"])[b"cache-control"] == b"no-store"


async def test_a_request_that_the_server_has_no_more_time_for_is_told_to_come_again() -> None:
    began = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        await asyncio.Event().wait()

    peer = Peer()
    task = asyncio.create_task(peer.exchange().run(app))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [message.get("status") for message in peer.sent] == [503, None]
    assert b"going down" in peer.sent[1]["body"]
