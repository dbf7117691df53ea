import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from voxgate_core import Answer, ManualClock, Trace, VoxgateError
from voxgate_responder import success_body
from voxgate_responder.endpoints import ENDPOINTS, Call, ConversationFiles, LocalStub

TRACE = Trace("a" * 32, "b" * 16)
JSON = {"content-type": "application/json"}
EVENT = {"content-type": "application/cloudevents+json"}


def call(name: str, method: str, query: str = "", headers: Mapping[str, str] = JSON, **body: Any) -> Call:
    return Call(ENDPOINTS[name], method, query, headers, json.dumps(body).encode(), TRACE)


def event(headers: Mapping[str, str] = EVENT, **changed: Any) -> Call:
    members = {"specversion": "1.0", "id": "evt_1", "source": "/voxgate", "type": "voice.turn.completed", "data": {}}
    return call("voice-chat", "POST", headers=headers, **{**members, **changed})


async def ask(stub: LocalStub, asked: Call) -> Answer:
    answer = await stub.answer(asked)
    asked.endpoint.success.validate(success_body(answer, TRACE.trace_id))
    return answer


async def code_of(stub: LocalStub, asked: Call) -> str:
    with pytest.raises(VoxgateError) as caught:
        await stub.answer(asked)
    return caught.value.code


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.mark.parametrize("name", list(ENDPOINTS))
async def test_every_endpoint_answers_by_its_schema(name: str, clock: ManualClock) -> None:
    method = next(iter(ENDPOINTS[name].methods))
    body: dict[str, Any] = {"text": "hi"} if method == "POST" else {}
    answer = await ask(LocalStub(clock), call(name, method, **body))
    shared = {field for field in answer.legacy if field in answer.data}
    assert all(answer.legacy[field] == answer.data[field] for field in shared)


async def test_figures_are_said_to_be_fixtures(clock: ManualClock) -> None:
    for name in ("marketing", "sales_overview"):
        answer = await ask(LocalStub(clock), call(name, "GET", "period=7d"))
        assert (answer.data["fixture"], answer.data["period"]) == (True, "7d")


async def test_without_a_store_nothing_is_kept_and_nothing_deleted(clock: ManualClock) -> None:
    stub = LocalStub(clock)
    said = await ask(stub, call("donna_logic", "POST", text="hi", conversationId="c"))
    assert (said.data["conversationId"], said.data["stored"]) == ("c", False)
    assert await code_of(stub, call("conversations", "GET", "id=c")) == "not_found"
    assert await code_of(stub, call("conversations", "DELETE", "id=conv_fixture_01")) == "unavailable"
    assert await code_of(stub, call("conversations", "DELETE", "id=c")) == "not_found"


async def test_fixtures_come_in_pages(clock: ManualClock) -> None:
    stub = LocalStub(clock)
    first = await ask(stub, call("conversations", "GET", "limit=2"))
    second = await ask(stub, call("conversations", "GET", f"limit=2&cursor={first.data['nextCursor']}"))
    ids = [row["id"] for page in (first, second) for row in page.data["conversations"]]  # type: ignore[attr-defined]
    assert ids == ["conv_fixture_01", "conv_fixture_02", "conv_fixture_03"]
    assert second.data["nextCursor"] is None


async def test_a_conversation_is_held_kept_read_and_deleted(clock: ManualClock, tmp_path: Path) -> None:
    stub = LocalStub(clock, store=ConversationFiles(tmp_path))
    begun = await ask(stub, call("donna_logic", "POST", text="a demo please"))
    known_id = begun.data["conversationId"]
    clock.advance(10)
    said = await ask(stub, call("voice-chat", "POST", text="monday", sessionId=known_id))
    assert said.data["intent"] == "demo_day"
    read = await ask(stub, call("conversations", "GET", f"id={known_id}"))
    messages: Any = read.legacy["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    listed = await ask(stub, call("conversations", "GET"))
    [row] = listed.data["conversations"]  # type: ignore[misc]
    assert row["updatedAt"] - row["createdAt"] == 10  # type: ignore[has-type]
    assert (await ask(stub, call("conversations", "DELETE", f"id={known_id}"))).data == {"deleted": known_id}
    assert await code_of(stub, call("conversations", "GET", f"id={known_id}")) == "not_found"


async def test_a_transcript_is_kept_once_and_other_events_not(clock: ManualClock, tmp_path: Path) -> None:
    store = ConversationFiles(tmp_path)
    stub = LocalStub(clock, store=store)
    heard = {"sessionId": "sess_1", "role": "assistant", "text": "hi"}
    for _ in range(2):
        taken = await ask(stub, event(type="voice.transcript.completed", data=heard))
        assert taken.data["stored"] is True
    assert len(store.get("sess_1")["turns"]) == 1
    for other in (event(data=heard), event(type="voice.transcript.completed", data={"sessionId": "../x"})):
        assert (await ask(stub, other)).data["stored"] is False
    assert (await ask(LocalStub(clock), event(type="voice.transcript.completed", data=heard))).data["stored"] is False


def believing(headers: Mapping[str, str], body: bytes) -> str:
    """Stands for fan-out's verification: it believes one signature."""
    if headers.get("webhook-signature") != "v1,good":
        raise VoxgateError("credential_invalid", "The signature does not hold")
    return headers["webhook-id"]


async def test_with_a_verifier_events_must_be_signed(clock: ManualClock) -> None:
    stub = LocalStub(clock, verify=believing)
    signed = {**EVENT, "webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "v1,good"}
    assert (await ask(stub, event(signed))).data["accepted"] is True
    assert await code_of(stub, event({**signed, "webhook-signature": "v1,bad"})) == "credential_invalid"
    assert await code_of(stub, event()) == "credential_missing"
    assert await code_of(stub, event({**signed, "webhook-id": "evt_2"})) == "bad_request"
    assert stub.believes(event())
    assert not stub.believes(call("voice-chat", "POST", text="hi"))
    assert not LocalStub(clock).believes(event())


async def test_settings_are_judged_and_not_saved(clock: ManualClock) -> None:
    stub = LocalStub(clock)
    judged = await ask(stub, call("chatbot_settings", "POST", maxTurns=5))
    assert (judged.data["settings"]["maxTurns"], judged.data["saved"]) == (5, False)  # type: ignore[index]
    read = await ask(stub, call("chatbot_settings", "GET"))
    assert read.data["settings"]["maxTurns"] == 40  # type: ignore[index]
    assert await code_of(stub, call("chatbot_settings", "POST", maxTurns=0)) == "invalid_input"


async def test_health_names_the_store(clock: ManualClock, tmp_path: Path) -> None:
    healthy = await ask(LocalStub(clock, store=ConversationFiles(tmp_path)), call("health", "GET"))
    assert healthy.legacy["checks"] == {"store": {"status": "ok"}}
    gone = LocalStub(clock, store=ConversationFiles(tmp_path / "none"))
    with pytest.raises(VoxgateError) as caught:
        await gone.answer(call("health", "GET"))
    assert caught.value.details == {"checks": {"store": {"status": "down"}}}


def test_the_problems_of_an_endpoint_have_a_code_that_it_can_answer() -> None:
    for endpoint in ENDPOINTS.values():
        problem = Draft202012Validator(endpoint.schema["$defs"]["problem"])
        body = {"success": False, "traceId": "a" * 32, "error": {"code": "token_replayed", "message": "m"},
                "type": "urn:voxgate:error:x", "title": "t", "status": 401, "detail": "m",
                "instance": "/x"}  # fmt: skip
        assert not problem.is_valid(body)
        assert problem.is_valid({**body, "error": {"code": "internal_error", "message": "m"}})
