"""WebSocket handshakes that reach the application."""

import json
import logging

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.helpers.envelope import assert_openai_error, assert_problem
from tests.responder.apps import SECRET, wrapped
from tests.responder.serving import RawAnswer
from voxgate_core import VoxgateError
from voxgate_responder import EnvelopeMiddleware


def scope(path: str, *, answers: bool = True) -> Scope:
    extensions: dict[str, object] = {"websocket.http.response": {}} if answers else {}
    return {
        "type": "websocket", "path": path, "raw_path": path.encode(), "headers": [], "scheme": "ws", "query_string": b"",
        "root_path": "", "subprotocols": [], "extensions": extensions, "server": ("x", 80), "client": ("y", 1),
    }  # fmt: skip


async def run(app: EnvelopeMiddleware, path: str, *, answers: bool = True) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope(path, answers=answers), receive, send)
    return sent


def answer(sent: list[Message]) -> RawAnswer:
    start, body = sent
    assert (start["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return RawAnswer(start["status"], headers, body["body"])


async def test_an_unknown_path_is_404_in_the_path_s_shape() -> None:
    assert assert_problem(answer(await run(wrapped(), "/nowhere")), 404, "not_found")["instance"] == "/nowhere"
    assert_openai_error(answer(await run(wrapped(), "/v1/nowhere")), 404, "not_found")


async def test_a_socket_refused_before_its_accept_is_403() -> None:
    assert_problem(answer(await run(wrapped(), "/ws/refused")), 403, "policy_refused")


async def test_an_exception_before_the_accept_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        refused = answer(await run(wrapped(), "/ws/boom"))
    assert_problem(refused, 500, "internal_error")
    assert SECRET.encode() not in refused.content
    assert [record.getMessage() for record in caplog.records] == ["unhandled error in WebSocket /ws/boom"]


async def test_an_error_after_the_accept_is_its_close_code() -> None:
    sent = await run(wrapped(), "/ws/late")
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert sent[-1]["code"] == 1012


async def test_an_http_exception_on_a_socket_is_an_error_of_the_table() -> None:
    assert_problem(answer(await run(wrapped(), "/ws/http")), 503, "unavailable")


async def test_a_server_that_cannot_answer_a_handshake_gets_a_close() -> None:
    assert await run(wrapped(), "/nowhere", answers=False) == [{"type": "websocket.close", "code": 1008}]


async def test_an_application_s_own_denial_gets_our_headers() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        own = [(b"x-frame-options", b"SAMEORIGIN")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": own})
        await send({"type": "websocket.http.response.body", "body": json.dumps({}).encode()})
        raise VoxgateError("conflict")

    sent = await run(EnvelopeMiddleware(app), "/x")
    assert len(sent) == 2
    headers = dict(sent[0]["headers"])
    assert headers[b"x-frame-options"] == b"SAMEORIGIN"
    assert headers[b"x-trace-id"]


async def test_an_error_after_the_close_adds_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
        raise VoxgateError("conflict")

    sent = await run(EnvelopeMiddleware(app), "/x")
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
