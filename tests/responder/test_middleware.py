"""The middleware and the handlers together: every error shape, in process and on a real server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.helpers.envelope import assert_envelope, assert_openai_error, assert_problem, assert_security_headers
from tests.responder.apps import SECRET, inside, wrapped
from tests.responder.serving import PATIENCE, connected, exchange, serving
from voxgate_core import VoxgateError, current_trace
from voxgate_responder import EnvelopeMiddleware, current_rendering, json_success

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def client_of(app: ASGIApp, scheme: str = "http") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://voxgate.test")


@pytest.fixture(params=[wrapped, inside], ids=["around FastAPI", "inside FastAPI"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(request.param()) as made:
        yield made


@pytest.fixture
async def live() -> AsyncIterator[httpx.AsyncClient]:
    async with serving(wrapped()) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as made:
        yield made


class Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def errors() -> Iterator[list[logging.LogRecord]]:
    collector = Collector()
    logging.getLogger().addHandler(collector)
    yield collector.records
    logging.getLogger().removeHandler(collector)


async def test_a_success_is_in_the_envelope_with_its_legacy_fields(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/ok")
    body = assert_envelope(response)
    assert body["data"] == {"answer": 42}
    assert body["answer"] == 42
    assert response.headers["cache-control"] == "no-store"


async def test_a_valid_traceparent_is_continued_and_any_other_replaced(client: httpx.AsyncClient) -> None:
    parent = f"00-{TRACE}-00f067aa0ba902b7-01"
    body = assert_envelope(await client.get("/api/trace", headers={"traceparent": parent}))
    assert body["data"] == {"traceId": TRACE, "parent": "00f067aa0ba902b7"}
    for bad in (["nonsense"], [parent, parent], ["00-" + "0" * 32 + "-00f067aa0ba902b7-01"]):
        response = await client.get("/api/trace", headers=[("traceparent", value) for value in bad])
        assert assert_envelope(response)["traceId"] != TRACE
    assert current_trace.get() is None
    assert current_rendering.get() is None


async def test_an_unknown_path_is_404(client: httpx.AsyncClient) -> None:
    body = assert_problem(await client.get("/api/nöwhere?token=abc"), 404, "not_found")
    assert body["instance"] == "/api/n%C3%B6where"
    assert body["error"]["message"] == "There is nothing at this address"


async def test_a_wrong_method_is_405_with_every_allowed_one(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/orders")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST, PUT"
    response = await client.post("/api/ok")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD"


async def test_options_without_a_route_for_it_is_405(client: httpx.AsyncClient) -> None:
    assert_problem(await client.options("/api/orders"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "content",
    [b"{", b"", b"nul", b'{"name": "\xff"}', b"\xfe\xff", b"[" * 100_000, b'{"count": ' + b"9" * 5000 + b"}"],
    ids=["open", "empty", "half a word", "bad UTF-8", "UTF-16", "deep", "a number of 5000 digits"],
)
async def test_a_body_that_is_not_json_is_400_or_422_in_our_shape(client: httpx.AsyncClient, content: bytes) -> None:
    response = await client.post("/api/orders", content=content, headers={"content-type": "application/json"})
    if content:
        assert_problem(response, 400, "malformed_json")
    else:
        assert_problem(response, 422, "invalid_input")


async def test_an_input_that_does_not_fit_is_422_and_never_repeated(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/orders", json={"name": SECRET, "count": "many"})
    body = assert_problem(response, 422, "invalid_input")
    assert [field["at"] for field in body["error"]["details"]["fields"]] == [["body", "name"], ["body", "count"]]
    assert SECRET not in response.text
    assert "many" not in response.text
    assert_problem(await client.get("/api/query?q=x"), 422, "invalid_input")


async def test_a_lone_surrogate_in_the_input_is_422(client: httpx.AsyncClient) -> None:
    content = b'{"name": "\\ud800", "count": 1}'
    response = await client.post("/api/orders", content=content, headers={"content-type": "application/json"})
    assert_problem(response, 422, "invalid_input")


async def test_a_body_of_another_type_is_415(client: httpx.AsyncClient) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/octet-stream"):
        response = await client.post("/api/orders", content=b"{}", headers={"content-type": content_type})
        assert_problem(response, 415, "unsupported_media_type")


async def test_a_body_over_a_mebibyte_is_413_and_one_of_it_is_not(client: httpx.AsyncClient) -> None:
    limit = 1024 * 1024
    assert_envelope(await client.post("/api/echo", content=b"a" * limit))
    assert_problem(await client.post("/api/echo", content=b"a" * (limit + 1)), 413, "body_too_large")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"a" * 65_536

    assert_problem(await client.post("/api/echo", content=pieces()), 413, "body_too_large")
    assert_problem(await client.post("/api/orders", content=pieces()), 413, "body_too_large")


async def test_a_content_length_that_is_no_number_is_400(client: httpx.AsyncClient) -> None:
    for value in ("many", "-1", "+1", "1e3"):
        response = await client.post("/api/echo", content=b"a", headers={"content-length": value})
        assert_problem(response, 400, "bad_request")


@pytest.mark.parametrize("target", ["/api/%ff", "/api/ok?q=%ff", "/api/%00", "/api/ok%0a", "/api/%ed%a0%80"])
async def test_bytes_that_are_not_text_in_a_target_are_400(client: httpx.AsyncClient, target: str) -> None:
    assert_problem(await client.get(target), 400, "bad_request")


async def test_an_error_of_the_table_keeps_its_headers(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/quota")
    assert_problem(response, 429, "quota_exceeded")
    assert response.headers["retry-after"] == "3"
    assert response.headers["ratelimit"] == "limit=5"


async def test_a_returned_error_is_a_problem_with_its_details(client: httpx.AsyncClient) -> None:
    body = assert_problem(await client.get("/api/returned"), 409, "conflict")
    assert body["error"] == {"code": "conflict", "message": "Seen before", "details": {"key": "k"}}
    assert body["instance"] == "/api/returned"


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "bad_request"), (401, "credential_missing"), (403, "policy_refused"), (410, "bad_request"),
     (418, "bad_request"), (500, "internal_error"), (503, "unavailable"), (507, "internal_error")],
)  # fmt: skip
async def test_an_http_exception_keeps_status_and_headers(client: httpx.AsyncClient, status: int, code: str) -> None:
    response = await client.get(f"/api/http/{status}")
    body = assert_problem(response, status, code)
    assert response.headers["x-kept"] == "yes"
    assert ("a sentence" in body["detail"]) is (status < 500)


async def test_an_http_exception_below_400_is_left_alone(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/http/304")
    assert (response.status_code, response.content) == (304, b"")
    assert_security_headers(response)


@pytest.mark.parametrize("status", [400, 404, 418, 503])
async def test_a_plain_text_error_becomes_a_problem(client: httpx.AsyncClient, status: int) -> None:
    response = await client.get(f"/plain/{status}")
    assert_problem(response, status, response.json()["error"]["code"])
    assert response.headers["x-kept"] == "yes"
    assert (await client.get("/plain/200")).text == "words"


async def test_an_unexpected_exception_is_500_logged_once_and_never_shown(
    client: httpx.AsyncClient, errors: list[logging.LogRecord]
) -> None:
    response = await client.get("/api/boom")
    assert_problem(response, 500, "internal_error")
    assert SECRET not in response.text
    [record] = errors
    assert record.name == "voxgate.responder"
    assert record.getMessage() == "unhandled error in GET /api/boom"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == SECRET


async def test_on_openai_paths_errors_have_openai_s_shape(client: httpx.AsyncClient) -> None:
    assert assert_openai_error(await client.get("/v1/nothing"), 404, "not_found")["type"] == "invalid_request_error"
    assert_openai_error(await client.get("/openai/v1/nothing"), 404, "not_found")
    assert assert_openai_error(await client.get("/v1/boom"), 500, "internal_error")["type"] == "server_error"
    assert (await client.get("/v1/bare")).json() == {"value": "ek_x"}


async def test_security_headers_set_on_purpose_stay(client: httpx.AsyncClient) -> None:
    response = await client.get("/page/own")
    assert response.headers["content-security-policy"].startswith("script-src 'self'")
    assert response.headers["x-frame-options"] == "SAMEORIGIN"
    page = await client.get("/page")
    assert_security_headers(page)
    assert "default-src" not in page.headers["content-security-policy"]
    assert "cache-control" not in page.headers


async def test_the_documentation_pages_still_work(client: httpx.AsyncClient) -> None:
    assert "default-src" not in (await client.get("/docs")).headers["content-security-policy"]
    assert "/api/orders" in (await client.get("/openapi.json")).json()["paths"]


async def test_strict_transport_security_goes_out_over_https_only() -> None:
    async with client_of(wrapped(), "https") as client:
        assert (await client.get("/api/ok")).headers["strict-transport-security"] == "max-age=31536000"
        assert (await client.get("/api/no")).headers["strict-transport-security"] == "max-age=31536000"
    async with client_of(wrapped()) as client:
        assert "strict-transport-security" not in (await client.get("/api/ok")).headers


@pytest.mark.parametrize("path", ["/api/ok", "/api/nothing", "/api/orders", "/api/boom", "/page", "/api/quota"])
async def test_head_is_answered_as_get_without_the_body(live: httpx.AsyncClient, path: str) -> None:
    got, head = await live.get(path), await live.head(path)
    assert head.content == b""
    assert head.status_code == got.status_code
    for name in ("content-type", "content-length", "content-security-policy", "allow", "retry-after"):
        assert head.headers.get(name) == got.headers.get(name)


async def test_head_on_an_endless_answer_ends_and_stops_the_application() -> None:
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(b"HEAD /api/endless HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await client.answer(head_only=True)
        assert (answer.status_code, answer.headers["x-endless"]) == (200, "yes")
        await client.send(b"GET /api/ok HTTP/1.1\r\nHost: x\r\n\r\n")
        assert_envelope(await client.answer())


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [("GET /nothing", 404, "not_found"), ("DELETE /api/ok", 405, "method_not_allowed"),
     ("OPTIONS *", 404, "not_found"), ("BREW /api/ok", 400, "bad_request"), ("GET /api/%ff", 400, "bad_request"),
     ("GET /api/boom", 500, "internal_error")],
)  # fmt: skip
async def test_errors_on_a_real_server(request_line: str, status: int, code: str) -> None:
    async with serving(wrapped()) as port:
        assert_problem(await exchange(port, f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode()), status, code)


async def test_an_exception_after_the_answer_began_is_logged_once_and_the_connection_closed(
    errors: list[logging.LogRecord],
) -> None:
    async with serving(wrapped()) as port:
        async with connected(port) as client:
            await client.send(b"GET /api/halfway HTTP/1.1\r\nHost: x\r\n\r\n")
            got = await client.rest()
        assert got.endswith(b"3\r\none\r\n")
        assert SECRET.encode() not in got
    assert [record.getMessage() for record in errors if record.exc_info] == ["unhandled error in GET /api/halfway"]


async def test_a_caller_that_leaves_is_not_an_error(errors: list[logging.LogRecord]) -> None:
    left = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            left.set()

    async with serving(EnvelopeMiddleware(app)) as port:
        async with connected(port) as client:
            await client.send(b"POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        await asyncio.wait_for(left.wait(), PATIENCE)
    async with serving(wrapped()) as port, connected(port) as client:
        await client.send(b"POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    assert errors == []


async def test_an_application_that_answers_nothing_is_500(errors: list[logging.LogRecord]) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return None

    async with client_of(EnvelopeMiddleware(silent)) as client:
        assert_problem(await client.get("/api/x"), 500, "internal_error")
    assert [record.getMessage() for record in errors] == ["the application gave no answer to GET /api/x"]


async def test_an_error_whose_details_are_not_json_is_500_and_logged(errors: list[logging.LogRecord]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise VoxgateError("conflict", details={"what": object()})

    async with client_of(EnvelopeMiddleware(app)) as client:
        assert_problem(await client.get("/api/x"), 500, "internal_error")
    assert len(errors) == 1


async def test_an_application_cannot_turn_a_bound_into_an_answer_of_its_own() -> None:
    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            with pytest.raises(VoxgateError, match="body_too_large"):
                await receive()
        await json_success({"fine": True})(scope, receive, send)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * 11

    async with client_of(EnvelopeMiddleware(stubborn, body_limit=10)) as client:
        assert_problem(await client.post("/api/x", content=pieces()), 413, "body_too_large")


async def test_an_error_raised_after_the_answer_began_is_logged(errors: list[logging.LogRecord]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise VoxgateError("conflict")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    scope = {"type": "http", "method": "GET", "path": "/api/x", "headers": [], "scheme": "http", "query_string": b""}
    await EnvelopeMiddleware(app)(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert [record.getMessage() for record in errors] == ["refused GET /api/x after the answer had begun"]


async def test_lifespan_passes_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        raise AssertionError("nobody reads")

    async def drop(message: Message) -> None:
        raise AssertionError("nobody writes")

    await EnvelopeMiddleware(app)({"type": "lifespan"}, nothing, drop)
    assert seen == ["lifespan"]


async def test_a_starlette_application_without_handlers_is_enveloped_too() -> None:
    async with client_of(EnvelopeMiddleware(Starlette())) as client:
        assert_problem(await client.get("/nothing"), 404, "not_found")
    bare = FastAPI()
    bare.add_middleware(EnvelopeMiddleware)
    async with client_of(bare) as client:
        assert (await client.get("/nothing")).headers["x-trace-id"]
