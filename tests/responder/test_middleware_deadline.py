"""Whose time is counted against whom: the body deadline of the middleware."""

import asyncio
import logging

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.helpers.envelope import assert_envelope
from tests.responder.test_middleware import client_of, errors
from voxgate_responder import EnvelopeMiddleware, json_success

__all__ = ["errors"]


async def test_only_waiting_for_the_caller_counts_against_the_caller() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.1)
        size = 0
        more = True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        await json_success({"size": size})(scope, receive, send)

    async with client_of(EnvelopeMiddleware(app, body_timeout=0.05)) as client:
        assert assert_envelope(await client.post("/api/x", content=b"a" * 1000))["data"] == {"size": 1000}


async def test_a_timeout_of_the_application_s_own_is_not_taken_for_the_body_s(errors: list[logging.LogRecord]) -> None:
    async def receive() -> Message:
        raise TimeoutError("the transport's own")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-length", b"1")]
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": headers, "scheme": "http"}
    await EnvelopeMiddleware(app)(scope, receive, send)
    assert sent[0]["status"] == 500
    assert len(errors) == 1
