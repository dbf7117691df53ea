"""The HTTP protocol on a real uvicorn server, driven with raw bytes."""

import asyncio
import inspect
import json

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.helpers.envelope import assert_envelope, assert_openai_error, assert_problem
from tests.responder.apps import wrapped
from tests.responder.serving import RawAnswer, connected, exchange, serving
from voxgate_responder import http_protocol

SHORT = 0.2
"""Seconds: the deadline of these tests' servers."""

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n".encode()
GET = b"GET /api/ok HTTP/1.1\r\nHost: x\r\n\r\n"


async def assert_alive(port: int) -> None:
    assert_envelope(await exchange(port, GET))


async def test_a_half_sent_head_is_answered_408_and_the_connection_closed() -> None:
    async with serving(wrapped(), http_protocol(header_timeout=SHORT)) as port:
        async with connected(port) as client:
            await client.send(b"GET /api/ok?token=secret HTTP/1.1\r\nHost: x\r\n", PARENT, b"X-Half: ")
            body = assert_problem(await client.answer(), 408, "request_timeout")
            assert body["traceId"] == TRACE
            assert body["instance"] == "/api/ok"
            assert await client.rest() == b""
        await assert_alive(port)


async def test_a_head_trickled_byte_by_byte_does_not_move_the_deadline() -> None:
    async with serving(wrapped(), http_protocol(header_timeout=SHORT)) as port, connected(port) as client:
        answered = asyncio.create_task(client.answer())
        while not answered.done():
            await client.send(b"\r\n")
            await asyncio.wait([answered], timeout=SHORT / 10)
        assert_problem(await answered, 408, "request_timeout")


async def test_a_connection_that_never_sends_a_byte_is_closed_without_a_word() -> None:
    async with serving(wrapped(), http_protocol(header_timeout=SHORT)) as port, connected(port) as client:
        assert await client.rest() == b""


async def test_300_slow_connections_are_all_cut() -> None:
    async def slow(port: int) -> RawAnswer:
        async with connected(port) as client:
            await client.send(b"GET / HTTP/1.1\r\nX-Slow: ")
            answer = await client.answer()
            assert await client.rest() == b""
            return answer

    async with serving(wrapped(), http_protocol(header_timeout=SHORT)) as port:
        for answer in await asyncio.gather(*(slow(port) for _ in range(300))):
            assert_problem(answer, 408, "request_timeout")
        await assert_alive(port)


async def test_a_kept_alive_connection_gets_a_new_deadline_for_each_head() -> None:
    async with serving(wrapped(), http_protocol(header_timeout=SHORT)) as port, connected(port) as client:
        for _ in range(3):
            await client.send(GET)
            assert_envelope(await client.answer())
        await client.send(b"GE")
        assert_problem(await client.answer(), 408, "request_timeout")
        assert await client.rest() == b""


async def test_an_idle_kept_alive_connection_is_left_to_the_keep_alive_timer() -> None:
    settings = {"timeout_keep_alive": 1}
    async with serving(wrapped(), http_protocol(header_timeout=SHORT), **settings) as port, connected(port) as client:
        await client.send(GET)
        assert_envelope(await client.answer())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(), SHORT * 2)
        await client.send(GET)
        assert_envelope(await client.answer())
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET /a?\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://host HTTP/1.1\r\n\r\n",
        b"CONNECT host:443 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        b"GET /api/ok HTTP/1.1\r\n\r\n",
        b"GET /api/ok HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        b"GET /api/ok HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_bytes_that_are_not_http_get_400_in_the_envelope(garbage: bytes) -> None:
    async with serving(wrapped()) as port:
        async with connected(port) as client:
            await client.send(garbage)
            assert_problem(await client.answer(), 400, "bad_request")
            assert await client.rest() == b""
        await assert_alive(port)


async def test_a_refusal_on_an_openai_path_has_openai_s_shape() -> None:
    async with serving(wrapped(), http_protocol(header_timeout=SHORT)) as port, connected(port) as client:
        await client.send(b"POST /v1/realtime/client_secrets HTTP/1.1\r\n")
        assert_openai_error(await client.answer(), 408, "request_timeout")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX-Big: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-Long-" + b"a" * 100_000,
    ],
    ids=["one value", "the path", "many fields", "one endless name"],
)
async def test_a_head_of_100_kb_gets_431(head: bytes) -> None:
    async with serving(wrapped()) as port:
        async with connected(port) as client:
            await client.send(head)
            body = assert_problem(await client.answer(), 431, "headers_too_large")
            assert body["error"]["details"] == {"limit": 32 * 1024}
        await assert_alive(port)


async def test_an_unfinished_header_sent_in_pieces_gets_431_and_not_unbounded_memory() -> None:
    async with serving(wrapped(), http_protocol(max_head=1000)) as port, connected(port) as client:
        answered = asyncio.create_task(client.answer())
        await client.send(b"GET / HTTP/1.1\r\nX-Endless: ")
        sent = 0
        while not answered.done():
            await client.send(b"a" * 100)
            sent += 100
            await asyncio.wait([answered], timeout=0.01)
            assert sent < 100_000
        assert_problem(await answered, 431, "headers_too_large")


async def test_endless_trailers_get_431() -> None:
    head = b"POST /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(head + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)))
        assert_problem(await client.answer(), 431, "headers_too_large")


async def test_a_head_just_within_the_bound_is_served_whatever_body_follows() -> None:
    async with serving(wrapped(), http_protocol(max_head=1000)) as port, connected(port) as client:
        head = b"POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\nX-Fill: "
        await client.send(head + b"a" * 880 + b"\r\n\r\n" + b"b" * 500_000 + GET)
        assert assert_envelope(await client.answer())["data"] == {"size": 500_000}
        assert_envelope(await client.answer())


async def test_a_chunked_body_over_the_limit_gets_413_and_the_server_lives() -> None:
    async with serving(wrapped(body_limit=1000)) as port:
        async with connected(port) as client:
            await client.send(b"POST /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.send(*[b"100\r\n" + b"a" * 256 + b"\r\n" for _ in range(8)], b"0\r\n\r\n")
            body = assert_problem(await client.answer(), 413, "body_too_large")
            assert body["error"]["details"] == {"limit": 1000}
            await client.send(GET)
            assert_envelope(await client.answer())
        await assert_alive(port)


async def test_an_announced_body_over_the_limit_is_refused_before_it_is_sent() -> None:
    async with serving(wrapped()) as port, connected(port) as client:
        head = b"POST /api/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n"
        await client.send(head)
        assert_problem(await client.answer(), 413, "body_too_large")


async def test_the_rest_of_an_unwanted_body_is_awaited_for_the_deadline_only() -> None:
    head = b"POST /api/unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    async with serving(wrapped(), http_protocol(header_timeout=SHORT)) as port:
        async with connected(port) as client:
            await client.send(head)
            assert_envelope(await client.answer())
            await client.send(b"a" * 10)
            assert await client.rest() == b""
        async with connected(port) as client:
            await client.send(head)
            assert_envelope(await client.answer())
            await client.send(b"a" * 1000)
            await client.send(GET)
            assert_envelope(await client.answer())


async def test_a_connection_whose_unwanted_body_has_arrived_is_idle_again() -> None:
    async with serving(wrapped(), timeout_keep_alive=SHORT) as port, connected(port) as client:
        await client.send(b"POST /api/unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert_envelope(await client.answer())
        await client.send(b"a" * 1000)
        assert await client.rest() == b""


async def test_an_unwanted_body_is_read_and_dropped_up_to_a_bound() -> None:
    head = b"POST /api/unread HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(head)
        assert_problem(await client.answer(), 413, "body_too_large")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await client.send(*[b"a" * 250_000] * 400)


async def test_a_trickled_body_gets_408_and_the_connection_is_closed() -> None:
    async with serving(wrapped(body_timeout=SHORT)) as port:
        async with connected(port) as client:
            await client.send(b"POST /api/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            await client.send(b"Content-Length: 100\r\n\r\n{")
            answered = asyncio.create_task(client.answer())
            while not answered.done():
                await client.send(b" ")
                await asyncio.wait([answered], timeout=SHORT / 10)
            assert_problem(await answered, 408, "request_timeout")
        await assert_alive(port)


async def test_broken_chunks_while_the_application_reads_get_400() -> None:
    async with serving(wrapped()) as port:
        async with connected(port) as client:
            await client.send(b"POST /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.send(b"2\r\nab\r\n", b"not hex\r\n")
            assert_problem(await client.answer(), 400, "bad_request")
            assert await client.rest() == b""
        await assert_alive(port)


async def test_broken_chunks_after_the_answer_only_close_the_connection() -> None:
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(b"POST /api/unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert_envelope(await client.answer())
        await client.send(b"not hex\r\n")
        assert await client.rest() == b""


async def test_a_foreign_upgrade_is_ignored_and_the_connection_closed_after_the_answer() -> None:
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(GET[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n" + GET)
        answer = await client.answer()
        assert_envelope(answer)
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""


async def test_a_foreign_upgrade_with_a_body_gets_400() -> None:
    async with serving(wrapped()) as port, connected(port) as client:
        head = b"POST /api/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n"
        await client.send(head + b"abc")
        assert_problem(await client.answer(), 400, "bad_request")


async def test_a_websocket_outlives_the_header_deadline() -> None:
    settings = {"ws": "websockets-sansio"}
    async with serving(wrapped(), http_protocol(header_timeout=SHORT), **settings) as port:
        async with connect(f"ws://127.0.0.1:{port}/ws/echo") as socket:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), SHORT * 2)
            await socket.send("still here")
            assert await socket.recv() == "still here"
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/nowhere").__aenter__()
        response = refused.value.response
        headers = {name.lower(): value for name, value in response.headers.raw_items()}
        assert_problem(RawAnswer(response.status_code, headers, bytes(response.body or b"")), 404, "not_found")


async def test_a_websocket_handshake_behind_an_unanswered_request_is_refused() -> None:
    upgrade = (
        b"GET /ws/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with serving(wrapped(), ws="websockets-sansio") as port, connected(port) as client:
        await client.send(GET + upgrade)
        assert_envelope(await client.answer())
        assert_problem(await client.answer(), 400, "bad_request")
        assert await client.rest() == b""


async def test_past_the_limit_of_connections_the_answer_is_ours() -> None:
    async with serving(wrapped(), limit_concurrency=1) as port:
        answer = await exchange(port, GET)
        assert_problem(answer, 503, "capacity_exceeded")
        assert answer.headers["retry-after"] == "1"


async def test_http_1_0_is_answered_and_closed() -> None:
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(b"GET /api/ok HTTP/1.0\r\n\r\n")
        assert_envelope(await client.answer())
        assert await client.rest() == b""


async def test_random_bytes_never_stop_the_server() -> None:
    seeds = [json.dumps(n).encode() * 7 for n in range(30)] + [bytes(range(n, 256)) for n in range(0, 250, 10)]
    async with serving(wrapped(), http_protocol(header_timeout=SHORT)) as port:
        for seed in seeds:
            async with connected(port) as client:
                await client.send(seed)
                answer = await client.answer()
                assert answer.status_code in (400, 408)
                assert_problem(answer, answer.status_code, answer.json()["error"]["code"])
        await assert_alive(port)


def test_uvicorn_still_has_what_the_protocol_builds_on() -> None:
    parameters = list(inspect.signature(HttpToolsProtocol.__init__).parameters)
    assert parameters == ["self", "config", "server_state", "app_state", "_loop"]
    for name in (
        "_should_upgrade",
        "_start_asgi_task",
        "_unset_keepalive_if_required",
        "handle_websocket_upgrade",
        "on_response_complete",
        "send_400_response",
        "timeout_keep_alive_handler",
    ):
        assert callable(getattr(HttpToolsProtocol, name)), f"uvicorn has lost HttpToolsProtocol.{name}"
    source = inspect.getsource(RequestResponseCycle.__init__)
    for field in ("disconnected", "keep_alive", "message_event", "response_started", "response_complete"):
        assert f"self.{field} =" in source, f"uvicorn has lost RequestResponseCycle.{field}"
