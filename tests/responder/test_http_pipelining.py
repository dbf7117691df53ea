"""Requests sent ahead of their answers, and answers that nobody reads."""

import asyncio

from starlette.types import Receive, Scope, Send

from tests.helpers.envelope import assert_envelope, assert_problem
from tests.responder.apps import wrapped
from tests.responder.serving import PATIENCE, connected, serving
from voxgate_responder import http_protocol
from voxgate_responder.http import MAX_PIPELINED

GET = b"GET /api/ok HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT = 0.2


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(b"".join(b"GET /api/query?q=%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(20)))
        for number in range(20):
            assert assert_envelope(await client.answer())["data"] == {"q": number}


async def test_requests_sent_far_ahead_of_their_answers_are_refused() -> None:
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(GET * (MAX_PIPELINED + 50))
        for _ in range(MAX_PIPELINED):
            assert_envelope(await client.answer())
        assert_problem(await client.answer(), 400, "bad_request")
        assert await client.rest() == b""


async def test_a_caller_that_leaves_answers_unread_is_cut() -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not cut.is_set():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            if await asyncio.wait_for(receive_nothing(receive), PATIENCE):
                cut.set()

    async def receive_nothing(receive: Receive) -> bool:
        task = asyncio.ensure_future(receive())
        done, _ = await asyncio.wait([task], timeout=0.001)
        if not done:
            task.cancel()
        return bool(done) and task.result()["type"] == "http.disconnect"

    cut = asyncio.Event()
    async with serving(endless, http_protocol(write_timeout=SHORT)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(GET)
        writer.write(b"")
        await asyncio.wait_for(cut.wait(), PATIENCE)
        writer.transport.abort()
        assert not reader.at_eof()


async def test_a_half_head_behind_pipelined_requests_waits_for_their_answers() -> None:
    async with serving(wrapped(), http_protocol(header_timeout=SHORT)) as port, connected(port) as client:
        await client.send(GET + GET + b"GET /api/o")
        assert_envelope(await client.answer())
        assert_envelope(await client.answer())
        assert_problem(await client.answer(), 408, "request_timeout")


async def test_garbage_behind_pipelined_requests_is_refused_after_their_answers() -> None:
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(GET + GET + b"\x00\x01garbage\r\n\r\n")
        assert_envelope(await client.answer())
        assert_envelope(await client.answer())
        assert_problem(await client.answer(), 400, "bad_request")
        assert await client.rest() == b""


async def test_a_pipelined_request_with_a_broken_body_does_not_run() -> None:
    broken = b"POST /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(GET + broken)
        assert_envelope(await client.answer())
        assert assert_problem(await client.answer(), 400, "bad_request")["instance"] == "/api/echo"
        assert await client.rest() == b""
