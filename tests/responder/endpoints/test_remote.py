import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.responder.endpoints.php_backend import HANG, FakePhp
from voxgate_core import ConfigurationError, Trace, VoxgateError
from voxgate_responder.endpoints import ENDPOINTS, Call, PhpBackend, Refused
from voxgate_responder.endpoints.remote import ANSWER_LIMIT, MAX_QUERY
from voxgate_responder.endpoints.table import load_shared

TRACE = Trace("a" * 32, "b" * 16, flags=1)
SETTINGS = json.dumps({"settings": load_shared("chatbot_settings")}).encode()
REPLY = b'{"reply":"Hi","intent":"x","suggestions":[],"sessionId":null,"stored":false}'
SENT = {
    "content-type": "application/json; charset=utf-8", "cookie": "session=hunter2", "authorization": "Bearer hunter2",
    "host": "gateway", "connection": "x-evil", "x-evil": "1", "x-forwarded-for": "1.2.3.4", "webhook-id": "evt_1",
    "te": "trailers", "upgrade": "websocket", "accept-encoding": "gzip", "origin": "https://a.example",
}  # fmt: skip


def call(name: str = "chatbot_settings", method: str = "GET", query: str = "", **more: Any) -> Call:
    return Call(ENDPOINTS[name], method, query, more.get("headers", SENT), more.get("body", b""), TRACE)


@asynccontextmanager
async def backend(php: FakePhp, base: str = "/app", **settings: Any) -> AsyncIterator[PhpBackend]:
    async with PhpBackend(f"http://127.0.0.1:{php.port}{base}", **settings) as made:
        yield made


async def refused(php: FakePhp, asked: Call, **settings: Any) -> tuple[str, int]:
    async with backend(php, **settings) as made:
        with pytest.raises((Refused, VoxgateError)) as caught:
            await made.answer(asked)
    error = caught.value
    if isinstance(error, Refused):
        return error.error.code, error.status
    assert isinstance(error, VoxgateError)
    return error.code, error.kind.status


async def test_a_call_goes_out_with_our_headers_and_none_of_the_callers() -> None:
    async with FakePhp(SETTINGS) as php, backend(php, key="php-key") as made:
        answer = await made.answer(call(query="x=%20"))
        assert answer.legacy["settings"] == load_shared("chatbot_settings")
        [request] = php.received
        assert (request.method, request.target, request.body) == ("GET", "/app/api/chatbot_settings.php?x=%20", b"")
        assert request.headers == {
            "host": f"127.0.0.1:{php.port}",
            "accept": "application/json",
            "accept-encoding": "identity",
            "traceparent": TRACE.traceparent,
            "user-agent": "voxgate",
            "authorization": "Bearer php-key",
        }


async def test_a_body_goes_out_as_it_came_with_a_plain_type() -> None:
    async with FakePhp(REPLY) as php, backend(php) as made:
        await made.answer(call("voice-chat", "POST", body=b'{"text":"\xc3\xa9"}'))
        [request] = php.received
        assert request.body == b'{"text":"\xc3\xa9"}'
        assert request.headers["content-type"] == "application/json"
        assert request.headers["content-length"] == "13"
        assert not {"authorization", "webhook-id", "cookie"} & set(request.headers)


async def test_an_event_keeps_its_signature() -> None:
    signed = {"webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
    taken = b'{"accepted":true,"eventId":"evt_1","type":"t","stored":false}'
    async with FakePhp(taken) as php, backend(php) as made:
        await made.answer(
            call("voice-chat", "POST", headers={"content-type": "application/cloudevents+json", **signed})
        )
        assert signed.items() <= php.received[0].headers.items()
        assert not made.believes(call("voice-chat", "POST"))


async def test_no_cookie_of_one_answer_is_sent_with_the_next_call() -> None:
    async with FakePhp(SETTINGS, headers={"Set-Cookie": "session=hunter2; Path=/"}) as php, backend(php) as made:
        for _ in range(2):
            answer = await made.answer(call())
            assert dict(answer.headers) == {}
        assert [request.headers.get("cookie") for request in php.received] == [None, None]


async def test_a_redirect_is_a_failure_and_is_not_followed() -> None:
    async with FakePhp(b"", status=302, headers={"Location": "/elsewhere"}) as php:
        assert await refused(php, call()) == ("upstream_failed", 502)
        assert len(php.received) == 1


@pytest.mark.parametrize("size", [ANSWER_LIMIT + 1, 50 * ANSWER_LIMIT])
async def test_an_answer_that_is_too_long_is_not_read_to_its_end(size: int) -> None:
    async with FakePhp(b"", announced=size) as php:
        assert await refused(php, call()) == ("upstream_failed", 502)
        assert php.written < 8 * ANSWER_LIMIT


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async with FakePhp(gzip.compress(SETTINGS), headers={"Content-Encoding": "gzip"}) as php:
        assert await refused(php, call()) == ("upstream_failed", 502)


async def test_a_backend_that_hangs_is_left_in_time() -> None:
    async with FakePhp(HANG) as php:
        assert await refused(php, call(), timeout=0.05) == ("upstream_unreachable", 504)


async def test_a_backend_that_breaks_off_has_failed() -> None:
    async with FakePhp(SETTINGS, cut=20) as php:
        assert await refused(php, call()) == ("upstream_failed", 502)


async def test_a_backend_that_is_not_there_is_unavailable() -> None:
    async with FakePhp(SETTINGS) as php:
        pass
    assert await refused(php, call()) == ("unavailable", 503)


class Failing(httpx.AsyncBaseTransport):
    """Stands for a network that fails in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status"),
    [(httpx.ConnectTimeout(""), 503), (httpx.PoolTimeout(""), 503), (httpx.ReadTimeout(""), 504),
     (httpx.WriteTimeout(""), 504), (httpx.RemoteProtocolError(""), 502), (httpx.ReadError(""), 502)],
)  # fmt: skip
async def test_every_failure_of_the_network_has_its_status(error: Exception, status: int) -> None:
    made = PhpBackend("http://127.0.0.1:1", transport=Failing(error))
    with pytest.raises((Refused, VoxgateError)) as caught:
        await made.answer(call())
    refusal: Any = caught.value
    assert (refusal.status if isinstance(refusal, Refused) else refusal.kind.status) == status


async def test_a_cancelled_call_stays_cancelled() -> None:
    async with FakePhp(HANG) as php, backend(php) as made:
        task = asyncio.create_task(made.answer(call()))
        await php.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (call(query="x" * (MAX_QUERY + 1)), "bad_request"),
        (call("voice-chat", "POST", headers={"content-type": "text/plain"}), "unsupported_media_type"),
        (
            call("donna_logic", "POST", headers={"content-type": "application/cloudevents+json"}),
            "unsupported_media_type",
        ),
        (call("voice-chat", "POST", headers={**SENT, "content-encoding": "gzip"}), "unsupported_media_type"),
        (call("voice-chat", "POST", body=b" " * (1024 * 1024 + 1)), "body_too_large"),
    ],
)
async def test_what_should_not_be_passed_on_is_not(asked: Call, code: str) -> None:
    async with FakePhp(SETTINGS) as php:
        assert (await refused(php, asked))[0] == code
        assert php.received == []


@pytest.mark.parametrize(
    "base",
    ["", "example.com", "ftp://example.com", "http://", "http://user:hunter2@example.com", "http://example.com/?a=1",
     "http://example.com/#a", "http://[::1", "http://example.com:99999", "http://:80"],
)  # fmt: skip
def test_a_base_that_is_no_plain_url_is_a_fault_of_the_configuration(base: str) -> None:
    with pytest.raises(ConfigurationError, match="REMOTE_PHP_BASE") as caught:
        PhpBackend(base)
    assert "hunter2" not in str(caught.value)
