"""The gateway's side in front of real PHP: what goes through comes out as PHP said it, and nothing else goes through."""

import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.php.cases import CASES, ENDPOINTS, TRACE, TRACEPARENT, Case, raw
from tests.php.shim import ROOT, PhpServer, needs_php, php_server
from tests.responder.serving import exchange
from voxgate_core import Event
from voxgate_fanout import secret_key, signed_headers
from voxgate_fanout.event import CONTENT_TYPE, encode_event
from voxgate_responder import EnvelopeMiddleware, install, respond
from voxgate_responder.endpoints import PhpBackend, create_stub_router

KEY = "php-key-of-the-tests"
SECRET = "whsec_" + "A" * 43 + "="
PASSED = [
    case
    for case in CASES
    if case.status in (200, 404, 422) and case.method in ("GET", "POST", "DELETE") and case.name != "no-trace"
]

pytestmark = needs_php


@pytest.fixture(scope="module")
def shim() -> Iterator[PhpServer]:
    with php_server(environ={"VOXGATE_PHP_KEY": KEY, "VOXGATE_REMOTE_PHP_SECRET": SECRET}) as server:
        yield server


async def through(stack: AsyncExitStack, port: int, key: str | None = KEY) -> httpx.AsyncClient:
    """A client of a gateway that passes the seven on to PHP."""
    backend = await stack.enter_async_context(PhpBackend(f"http://127.0.0.1:{port}", key=key))
    app = FastAPI()
    install(app)
    app.include_router(create_stub_router(respond, backend))
    transport = httpx.ASGITransport(EnvelopeMiddleware(app))
    return await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://localhost"))


@pytest.mark.parametrize("case", PASSED, ids=[case.name for case in PASSED])
async def test_what_php_says_is_what_the_caller_gets(case: Case, shim: PhpServer) -> None:
    if case.headers.get("Content-Type") == CONTENT_TYPE:
        direct_headers = {
            **case.headers,
            **signed_headers("evt_1", case.body or b"", [secret_key(SECRET)], time.time()),
        }
    else:
        direct_headers = {**case.headers, "Authorization": f"Bearer {KEY}"}
    sent = raw(case.method, ENDPOINTS[case.endpoint] + case.target, direct_headers, case.body)
    direct = await exchange(shim.port, sent)
    async with AsyncExitStack() as stack:
        client = await through(stack, shim.port)
        headers = {"traceparent": TRACEPARENT, **direct_headers}
        answer = await client.request(
            case.method, f"http://localhost{ENDPOINTS[case.endpoint]}{case.target}", headers=headers, content=case.body
        )
    assert answer.status_code == direct.status_code, answer.text
    assert answer.json() == direct.json()
    assert answer.json()["traceId"] == TRACE, "PHP continued the trace of the gateway"


async def test_a_gateway_with_a_wrong_key_has_a_failing_backend(shim: PhpServer) -> None:
    async with AsyncExitStack() as stack:
        client = await through(stack, shim.port, key="wrong")
        answer = await client.get("/api/conversations.php", headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code == 502, "the caller's own credential must not reach PHP"
        assert (await client.get("/api/health.php")).status_code == 200


async def test_an_event_as_the_fan_out_writes_and_signs_it_is_taken(shim: PhpServer) -> None:
    data = {"sessionId": "sess_1", "role": "user", "text": "Größe 😀"}
    event = Event("evt_9", "/voxgate", "voice.transcript.completed", time.time(), "sess_1", data)
    body = encode_event(event)
    headers = {"Content-Type": CONTENT_TYPE, **signed_headers("evt_9", body, [secret_key(SECRET)], time.time())}
    answer = await exchange(shim.port, raw("POST", ENDPOINTS["voice-chat"], headers, body))
    assert answer.status_code == 200, answer.content
    assert answer.json()["data"]["eventId"] == "evt_9"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("<?php echo json_encode(['settings' => SETTINGS]);", 200),
        ("<?php echo json_encode(['success' => true, 'settings' => SETTINGS, 'old' => 1]);", 200),
        ("<?php echo json_encode(['success' => false, 'message' => 'hunter2']);", 502),
        ("<?php echo json_encode(['settings' => []]);", 502),
        ("<?php echo $hunter2; echo json_encode(['settings' => SETTINGS]);", 502),
        ("<?php throw new Exception('hunter2');", 502),
        ("<?php header('Location: /api/health.php');", 502),
        ("<?php http_response_code(404); echo '<html>hunter2';", 404),
        ("<?php http_response_code(503);", 503),
        ("<?php echo str_repeat('x', 2 * 1024 * 1024);", 502),
    ],
)
async def test_an_old_endpoint_behind_the_gateway_is_wrapped_or_has_failed(
    tmp_path: Path, script: str, expected: int
) -> None:
    settings = (ROOT / "php_shim" / "src" / "data" / "chatbot_settings.json").read_text("utf-8")
    prefix = f"<?php const SETTINGS_JSON = <<<'X'\n{settings}\nX;\ndefine('SETTINGS', json_decode(SETTINGS_JSON));\n?>"
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "chatbot_settings.php").write_text(prefix + script)
    with php_server(tmp_path) as server:
        async with AsyncExitStack() as stack:
            client = await through(stack, server.port)
            answer = await client.get("/api/chatbot_settings.php")
    assert answer.status_code == expected, answer.text
    assert "hunter2" not in answer.text
    shown: dict[str, Any] = answer.json()
    if expected == 200:
        assert shown["data"]["settings"] == shown["settings"] == json.loads(settings)
    else:
        assert shown["success"] is False
