import json
import time

import pytest

from tests.fanout.receivers import Answer, Receiver
from tests.gateway.rig import BEARER, PREVIEW, served
from tests.helpers.envelope import assert_envelope, assert_problem
from voxgate_core import ConfigurationError, ManualClock
from voxgate_fanout import new_secret, new_target, secret_key, signed_headers
from voxgate_gateway.php import local_stub, remote_php
from voxgate_gateway.settings import load

PATHS = (
    "/api/health.php", "/api/marketing.php", "/api/conversations.php", "/api/chatbot_settings.php", "/api/sales/overview.php",
)  # fmt: skip
TURN = {"text": "hello"}
EVENT = b'{"specversion":"1.0","id":"evt_1","source":"/x","type":"a.b","time":"2026-11-25T00:00:00Z","data":{}}'


async def test_without_a_backend_the_gateway_answers_all_seven_from_fixtures() -> None:
    async with served() as gateway:
        for path in PATHS:
            assert_envelope(await gateway.http.get(path))
        for path in ("/api/donna_logic.php", "/api/voice-chat.php"):
            assert_envelope(await gateway.http.post(path, json=TURN))
        assert_problem(await gateway.http.get("/api/donna_logic.php"), 405, "method_not_allowed")


async def test_the_stub_takes_events_only_with_the_signature_of_this_gateway() -> None:
    async with served() as gateway:
        headers = signed_headers("evt_1", EVENT, [secret_key(new_secret())], time.time())
        headers["Content-Type"] = "application/cloudevents+json"
        refused = await gateway.http.post("/api/voice-chat.php", content=EVENT, headers=headers)
        assert_problem(refused, 401, "credential_invalid")


async def test_a_backend_that_may_be_called_gets_the_call_of_whoever_may_make_it() -> None:
    body = json.dumps({"success": True, "traceId": "0" * 32, "data": {"figures": 1}}).encode()
    answer = Answer(200, headers={"Content-Type": "application/json"}, body=body)
    async with Receiver(default=answer) as php:
        environ = {
            **PREVIEW,
            "REMOTE_PHP_BASE": php.url_of("127.0.0.1", "/shop"),
            "ALLOW_REMOTE_PHP_FANOUT": "on",
            "VOXGATE_PHP_KEY": "backend-key",
        }
        async with served(environ) as gateway:
            assert_problem(await gateway.http.get("/api/marketing.php"), 401, "credential_missing")
            assert php.received == []
            await gateway.http.get("/api/marketing.php", headers={**BEARER, "Cookie": "session=1"})
        (request,) = php.received
        assert request.path == "/shop/api/marketing.php"
        assert request.headers["authorization"] == "Bearer backend-key"
        assert "cookie" not in request.headers


def test_there_is_no_backend_without_leave() -> None:
    assert remote_php(load({**PREVIEW, "REMOTE_PHP_BASE": "https://php.example.com"})) is None


def test_a_backend_that_is_no_url_is_a_fault_of_its_setting() -> None:
    settings = load({**PREVIEW, "REMOTE_PHP_BASE": "ftp://php.example.com", "ALLOW_REMOTE_PHP_FANOUT": "on"})
    with pytest.raises(ConfigurationError, match="REMOTE_PHP_BASE: "):
        remote_php(settings)


def test_a_stub_without_a_target_asks_for_no_signature() -> None:
    clock = ManualClock()
    assert local_stub(clock, None) is not local_stub(clock, lambda: new_target(name="a", url="https://a", now=0.0))
