"""A conversation held with PHP, continued with Python, and deleted: both keep the same files."""

import hashlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.php.cases import ENDPOINTS as PATHS
from tests.php.cases import EVENT, JSON, event, raw
from tests.php.shim import PhpServer, needs_php, php_server
from tests.responder.serving import RawAnswer, exchange
from voxgate_core import SystemClock, Trace
from voxgate_responder import success_body
from voxgate_responder.endpoints import ENDPOINTS, Call, ConversationFiles, LocalStub

KEY = "php-key-of-the-tests"
WEBHOOK_KEY = b"k" * 32
SECRET = f"whsec_{b64encode(WEBHOOK_KEY).decode()}"
KEYED = {"Authorization": f"Bearer {KEY}"}

pytestmark = needs_php


@pytest.fixture
def shim(tmp_path: Path) -> Iterator[PhpServer]:
    environ = {"VOXGATE_PHP_DATA_DIR": str(tmp_path), "VOXGATE_PHP_KEY": KEY, "VOXGATE_REMOTE_PHP_SECRET": SECRET}
    with php_server(environ=environ) as server:
        yield server


def signed(body: bytes, event_id: str = "evt_1") -> dict[str, str]:
    """The headers of a delivery, made by the specification and not by our own code."""
    now = str(int(time.time()))
    digest = hmac.digest(WEBHOOK_KEY, b".".join([event_id.encode(), now.encode(), body]), hashlib.sha256)
    return {
        **EVENT,
        "webhook-id": event_id,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }


async def ask(server: PhpServer, name: str, method: str, target: str = "", **body: Any) -> RawAnswer:
    sent = json.dumps(body).encode() if body else None
    headers = {**KEYED, **(JSON if body else {})}
    answer = await exchange(server.port, raw(method, PATHS[name] + target, headers, sent))
    Draft202012Validator(ENDPOINTS[name].schema).validate(answer.json())
    return answer


def call(name: str, method: str, query: str = "", **body: Any) -> Call:
    encoded = json.dumps(body).encode() if body else b""
    headers = {"content-type": "application/json"} if body else {}
    return Call(ENDPOINTS[name], method, query, headers, encoded, Trace("a" * 32, "b" * 16))


async def test_a_conversation_begun_in_php_goes_on_in_python_and_back(shim: PhpServer, tmp_path: Path) -> None:
    stub = LocalStub(SystemClock(), store=ConversationFiles(tmp_path))
    begun = (await ask(shim, "donna_logic", "POST", text="Book a demo, Grüße/😀")).json()["data"]
    assert (begun["intent"], begun["stored"]) == ("demo", True)
    known_id = begun["conversationId"]

    gone_on = await stub.answer(call("donna_logic", "POST", text="Yes, on Monday", conversationId=known_id))
    assert gone_on.data["intent"] == "demo_day", "Python knows the intent that PHP has kept"
    back = (await ask(shim, "donna_logic", "POST", text="no", conversationId=known_id)).json()["data"]
    assert back["intent"] == "declined", "PHP knows the intent that Python has kept"

    read = (await ask(shim, "conversations", "GET", f"?id={known_id}")).json()
    assert [message["role"] for message in read["messages"]] == ["user", "assistant"] * 3
    python = await stub.answer(call("conversations", "GET", f"id={known_id}"))
    assert success_body(python, read["traceId"]) == read
    assert (await ask(shim, "conversations", "DELETE", f"?id={known_id}")).json()["deleted"] == known_id
    assert (await ask(shim, "conversations", "GET", f"?id={known_id}")).status_code == 404
    assert (await ask(shim, "conversations", "GET")).json()["conversations"] == []


async def test_pages_follow_each_other_in_both_languages(shim: PhpServer, tmp_path: Path) -> None:
    stub = LocalStub(SystemClock(), store=ConversationFiles(tmp_path))
    for known_id in ("c", "a", "B", "e", "d"):
        await ask(shim, "voice-chat", "POST", text="hi", sessionId=known_id)
    pages, cursor = [], ""
    while True:
        target = f"limit=2{cursor and '&cursor=' + cursor}"
        page = (await ask(shim, "conversations", "GET", f"?{target}")).json()
        assert success_body(await stub.answer(call("conversations", "GET", target)), page["traceId"]) == page
        pages.append([row["id"] for row in page["data"]["conversations"]])
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert pages == [["B", "a"], ["c", "d"], ["e"]]


async def test_a_signed_transcript_is_kept_once_however_often_it_comes(shim: PhpServer, tmp_path: Path) -> None:
    heard = {"sessionId": "sess_1", "role": "user", "text": "What does it cost?"}
    body = event(type="voice.transcript.completed", data=heard)
    for _ in range(3):
        answer = await exchange(shim.port, raw("POST", PATHS["voice-chat"], signed(body), body))
        assert answer.status_code == 200
        assert answer.json()["data"] == {
            "accepted": True, "eventId": "evt_1", "type": "voice.transcript.completed", "stored": True
        }  # fmt: skip
    turns = ConversationFiles(tmp_path).get("sess_1")["turns"]
    assert [(turn["id"], turn["text"]) for turn in turns] == [("evt_1", "What does it cost?")]


@pytest.mark.parametrize(
    "data", [{}, {"sessionId": "../x", "role": "user", "text": "a"}, {"sessionId": "s", "role": "x", "text": "a"}]
)
async def test_a_transcript_that_can_not_be_kept_is_taken_and_left(shim: PhpServer, tmp_path: Path, data: Any) -> None:
    body = event(type="voice.transcript.completed", data=data)
    answer = await exchange(shim.port, raw("POST", PATHS["voice-chat"], signed(body), body))
    assert answer.json()["data"]["stored"] is False
    assert ConversationFiles(tmp_path).page(1, "") == ([], None)


async def test_an_event_is_believed_by_its_signature_alone(shim: PhpServer) -> None:
    body = event()
    for headers in (EVENT, {**EVENT, **KEYED}, {**signed(body), "webhook-id": "evt_2"}, signed(b"{}")):
        answer = await exchange(shim.port, raw("POST", PATHS["voice-chat"], headers, body))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Bearer realm="voxgate"')
        Draft202012Validator(ENDPOINTS["voice-chat"].schema).validate(answer.json())


async def test_without_the_key_only_health_answers(shim: PhpServer) -> None:
    for name, endpoint in ENDPOINTS.items():
        answer = await exchange(shim.port, raw(next(iter(endpoint.methods)), PATHS[name], JSON, b'{"text":"hi"}'))
        assert answer.status_code == (200 if name == "health" else 401)
    assert (await exchange(shim.port, raw("GET", PATHS["health"]))).json()["checks"] == {"store": {"status": "ok"}}


async def test_health_says_when_the_store_is_gone(tmp_path: Path) -> None:
    with php_server(environ={"VOXGATE_PHP_DATA_DIR": str(tmp_path / "none")}) as server:
        answer = await exchange(server.port, raw("GET", PATHS["health"]))
        assert answer.status_code == 503
        assert answer.json()["error"]["details"] == {"checks": {"store": {"status": "down"}}}
        assert str(tmp_path) not in answer.content.decode()


async def test_turns_said_at_once_are_all_kept(tmp_path: Path) -> None:
    """PHP's workers and Python's threads write one conversation at the same moment."""
    environ = {"VOXGATE_PHP_DATA_DIR": str(tmp_path), "PHP_CLI_SERVER_WORKERS": "4"}
    files = ConversationFiles(tmp_path)
    turns = [{"id": f"py_{place}", "role": "user", "text": "hi", "at": 1} for place in range(20)]
    with php_server(environ=environ) as server, ThreadPoolExecutor(4) as pool:
        written = [pool.submit(files.append, "c", [turn]) for turn in turns]
        for _ in range(20):
            body = json.dumps({"text": "hi", "conversationId": "c"}).encode()
            answer = await exchange(server.port, raw("POST", PATHS["donna_logic"], JSON, body))
            assert answer.status_code == 200
        for one in written:
            one.result(timeout=10)
    assert len(files.get("c")["turns"]) == 20 + 2 * 20
