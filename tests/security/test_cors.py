"""The same verdict on requests and preflights as on the policy itself, before any handler runs."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.helpers.origin_cases import ALLOWED, CASES, ENVIRONMENT, MISSING, OriginCase
from voxgate_core import VoxgateError
from voxgate_security import ORIGIN_KEY, CorsMiddleware, MissingOrigin, OriginPolicy

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

GOOD = "https://app.example.com"
STRICT = OriginPolicy.parse(ENVIRONMENT, ALLOWED, missing=MISSING)
LENIENT = OriginPolicy.parse(ENVIRONMENT, ALLOWED, missing=MissingOrigin.ALLOW_WITH_BEARER)
PREFLIGHT = (b"access-control-request-method", b"POST")


class App:
    """An inner application that answers 200, or raises."""

    def __init__(self, headers: list[tuple[bytes, bytes]] | None = None, error: Exception | None = None) -> None:
        self.headers = headers or []
        self.error = error
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if self.error is not None:
            raise self.error
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"ok"})


class Renderer:
    """The layer outside: turns a refusal into an answer, as the responder does."""

    def __init__(self, app: CorsMiddleware) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except VoxgateError as error:
            headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
            await send({"type": "http.response.start", "status": error.kind.status, "headers": headers})
            await send({"type": "http.response.body", "body": error.code.encode()})


async def ask(
    app: App,
    headers: list[tuple[bytes, bytes]],
    *,
    method: str = "POST",
    path: str = "/api/realtime/token",
    policy: OriginPolicy = STRICT,
) -> httpx.Response:
    transport = httpx.ASGITransport(Renderer(CorsMiddleware(app, policy)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        return await client.request(method, path, headers=headers)


def origins(values: list[bytes]) -> list[tuple[bytes, bytes]]:
    return [(b"origin", value) for value in values]


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.id))
async def test_a_request_and_its_preflight_get_the_verdict_of_the_policy(case: OriginCase) -> None:
    app = App()
    answer = await ask(app, origins(case.values))
    assert answer.headers["vary"] == "Origin"
    preflight = await ask(App(), [*origins(case.values), PREFLIGHT], method="OPTIONS")
    assert preflight.headers["vary"] == "Origin"
    if case.allowed:
        text = case.values[0].decode()
        assert (answer.status_code, preflight.status_code) == (200, 204)
        assert answer.headers["access-control-allow-origin"] == text
        assert preflight.headers["access-control-allow-origin"] == text
        assert app.scopes[0][ORIGIN_KEY] == text
    else:
        assert (answer.status_code, preflight.status_code) == (403, 403)
        assert answer.text == preflight.text == "origin_refused"
        assert not app.scopes, "the handler saw a refused origin"
        assert not any(name.startswith("access-control-") for name in {*answer.headers, *preflight.headers})


async def test_a_preflight_is_answered_without_the_application() -> None:
    app = App()
    answer = await ask(app, [(b"origin", GOOD.encode()), PREFLIGHT], method="OPTIONS")
    assert not app.scopes
    assert answer.headers["access-control-max-age"] == "600"
    methods = answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert "POST" in methods
    assert {"authorization", "content-type", "idempotency-key", "traceparent"} <= set(allowed)
    assert "*" not in methods + allowed
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
async def test_without_an_origin_the_policy_decides_for_every_method(method: str) -> None:
    assert (await ask(App(), [], method=method)).status_code == 403
    app = App()
    answer = await ask(app, [], method=method, policy=LENIENT)
    assert answer.status_code == 200
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in answer.headers
    assert app.scopes[0][ORIGIN_KEY] is None


async def test_an_options_request_that_is_no_preflight_goes_to_the_application() -> None:
    app = App()
    assert (await ask(app, [(b"origin", GOOD.encode())], method="OPTIONS")).status_code == 200
    assert (await ask(app, [PREFLIGHT], method="OPTIONS", policy=LENIENT)).status_code == 200
    assert len(app.scopes) == 2


@pytest.mark.parametrize("path", ["/livez", "/console", "/metrics", "/", "/apidocs"])
async def test_unguarded_paths_answer_everybody_and_are_readable_by_no_page(path: str) -> None:
    app = App()
    for headers in ([], origins([b"https://evil.example"]), origins([GOOD.encode()])):
        answer = await ask(app, headers, method="GET", path=path)
        assert answer.status_code == 200
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-origin" not in answer.headers
    assert all(ORIGIN_KEY not in scope for scope in app.scopes)


@pytest.mark.parametrize(
    "path", ["/api/x", "/v1/realtime/client_secrets", "/openai/v1/x", "/api/health/", "/api/healthz"]
)
async def test_guarded_paths_refuse_strangers(path: str) -> None:
    assert (await ask(App(), origins([b"https://evil.example"]), path=path)).status_code == 403


async def test_health_answers_everybody_and_is_readable_by_admitted_pages() -> None:
    for headers in ([], origins([b"https://evil.example"]), origins([b"null"])):
        answer = await ask(App(), headers, method="GET", path="/api/health")
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
    answer = await ask(App(), origins([GOOD.encode()]), method="GET", path="/api/health")
    assert answer.headers["access-control-allow-origin"] == GOOD
    refused = await ask(App(), [*origins([b"https://evil.example"]), PREFLIGHT], method="OPTIONS", path="/api/health")
    assert refused.status_code == 403


async def test_pages_may_read_what_they_need_of_the_answer() -> None:
    answer = await ask(App(), origins([GOOD.encode()]))
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-trace-id", "retry-after", "ratelimit", "ratelimit-policy"} <= set(exposed)


@pytest.mark.parametrize(
    ("inner", "merged"),
    [
        ([], "Origin"),
        ([(b"Vary", b"Accept-Encoding")], "Accept-Encoding, Origin"),
        ([(b"vary", b"Accept"), (b"vary", b"Cookie")], "Accept, Cookie, Origin"),
        ([(b"vary", b"origin")], "origin"),
        ([(b"vary", b"*")], "*"),
    ],
)
async def test_vary_is_added_to_what_the_application_varies_by(inner: list[tuple[bytes, bytes]], merged: str) -> None:
    answer = await ask(App(inner), origins([GOOD.encode()]))
    assert answer.headers.get_list("vary") == [merged]


async def test_an_application_cannot_open_the_door_wider() -> None:
    inner = [(b"Access-Control-Allow-Origin", b"*"), (b"access-control-allow-credentials", b"true")]
    answer = await ask(App(inner), origins([GOOD.encode()]))
    assert answer.headers.get_list("access-control-allow-origin") == [GOOD]
    assert "access-control-allow-credentials" not in answer.headers
    unguarded = await ask(App(inner), origins([GOOD.encode()]), path="/console")
    assert "access-control-allow-origin" not in unguarded.headers


async def test_a_refusal_from_inside_is_readable_by_the_page_and_otherwise_unchanged() -> None:
    inner = VoxgateError(
        "quota_exceeded", "slower", details={"a": 1}, retry_after=5, headers={"RateLimit": "x", "vary": "Accept"}
    )
    middleware = CorsMiddleware(App(error=inner), STRICT)
    scope = {"type": "http", "method": "POST", "path": "/api/x", "headers": [(b"origin", GOOD.encode())]}
    with pytest.raises(VoxgateError) as caught:
        await middleware(scope, _nothing, _nowhere)
    error = caught.value
    assert (error.code, error.message, error.details, error.retry_after) == ("quota_exceeded", "slower", {"a": 1}, 5)
    assert error.headers["Vary"] == "Accept, Origin"
    assert error.headers["RateLimit"] == "x"
    assert error.headers["Access-Control-Allow-Origin"] == GOOD


async def test_other_exceptions_pass_as_they_are() -> None:
    scope = {"type": "http", "method": "GET", "path": "/livez", "headers": []}
    with pytest.raises(ZeroDivisionError):
        await CorsMiddleware(App(error=ZeroDivisionError()), STRICT)(scope, _nothing, _nowhere)


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_what_is_not_http_passes_untouched(kind: str) -> None:
    app = App()
    scope = {"type": kind, "path": "/api/x", "headers": [(b"origin", b"https://evil.example")]}
    await CorsMiddleware(app, STRICT)(scope, _nothing, _nowhere)
    assert app.scopes == [scope]


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _nowhere(message: Any) -> None:
    return None
