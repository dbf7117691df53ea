import json
import re

import pytest

from voxgate_core import Event, ManualClock, SessionClosed
from voxgate_realtime.transcript import MAX_NAME, MAX_TEXT, ResponseDone, ToolCall, Transcript, Usage
from voxgate_realtime.voice_events import VoiceEvents

LARGEST_EVENT = 256 * 1024
WORST = "\N{GRINNING FACE}"  # twelve bytes in JSON that is ASCII only
SUMMARY = SessionClosed("sess-1", "ada", 1000, "bye", 12.34567, 3, 300, 7, 700)
WHOSE = {"sessionId": "sess-1", "sub": "ada"}


@pytest.fixture
def build() -> VoiceEvents:
    return VoiceEvents("/voxgate", ManualClock(1_900_000_000.5), session_id="sess-1", subject="ada")


def test_the_attributes_are_those_of_cloudevents(build: VoiceEvents) -> None:
    event = build.started(origin=None, dialect="native", model="m")
    assert (event.source, event.type, event.subject) == ("/voxgate", "voice.session.started", "sess-1")
    assert event.time == 1_900_000_000.5
    assert re.fullmatch(r"evt_[0-9a-f]{32}", event.id)


def test_no_two_events_share_an_id(build: VoiceEvents) -> None:
    ids = {build.tool(ToolCall("c", "n", "{}", False)).id for _ in range(1000)}
    assert len(ids) == 1000


def test_started_says_where_from_how_and_with_which_model(build: VoiceEvents) -> None:
    event = build.started(origin="https://app.example.com", dialect="openai", model="gpt-realtime-2.1")
    assert event.data == WHOSE | {"origin": "https://app.example.com", "dialect": "openai", "model": "gpt-realtime-2.1"}


def test_what_is_not_known_is_left_out(build: VoiceEvents) -> None:
    assert build.started(origin=None, dialect="native", model="m").data == WHOSE | {"dialect": "native", "model": "m"}
    done = ResponseDone("resp_1", "cancelled", None, False, None)
    assert build.turn(done, turn=1, waited=None).data == WHOSE | {
        "turn": 1, "responseId": "resp_1", "status": "cancelled",
    }  # fmt: skip


def test_a_model_that_may_yet_be_refused_takes_no_room(build: VoiceEvents) -> None:
    assert build.started(origin=None, dialect="native", model="m" * 9999).data["model"] == "m" * MAX_NAME


def test_a_transcript_says_who_said_what_in_which_turn(build: VoiceEvents) -> None:
    said = Transcript("user", "item_1", "Hello", False)
    assert build.transcript(said, turn=2).data == WHOSE | {
        "turn": 2, "role": "user", "itemId": "item_1", "text": "Hello",
    }  # fmt: skip
    said = Transcript("assistant", "item_2", "", True, "resp_1")
    assert build.transcript(said, turn=2).data == WHOSE | {
        "turn": 2, "role": "assistant", "itemId": "item_2", "responseId": "resp_1", "text": "", "truncated": True,
    }  # fmt: skip


def test_a_tool_call_hands_on_its_arguments_as_text(build: VoiceEvents) -> None:
    assert build.tool(ToolCall("call_1", "weather", '{"a": 1}', False)).data == WHOSE | {
        "callId": "call_1", "name": "weather", "arguments": '{"a": 1}',
    }  # fmt: skip


def test_a_turn_tells_its_text_usage_and_wait(build: VoiceEvents) -> None:
    done = ResponseDone("resp_1", "completed", "It rains.", False, Usage(30, 12, 42))
    assert build.turn(done, turn=1, waited=0.41251).data == WHOSE | {
        "turn": 1,
        "responseId": "resp_1",
        "status": "completed",
        "text": "It rains.",
        "usage": {"inputTokens": 30, "outputTokens": 12, "totalTokens": 42},
        "milliseconds": 413,
    }


def test_ended_sums_the_session_up(build: VoiceEvents) -> None:
    assert build.ended(SUMMARY, turns=2, usage=Usage(1, 2, 3)).data == WHOSE | {
        "code": 1000,
        "reason": "bye",
        "seconds": 12.346,
        "clientMessages": 3,
        "clientBytes": 300,
        "upstreamMessages": 7,
        "upstreamBytes": 700,
        "turns": 2,
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    }


def test_no_event_exceeds_256_kib_in_any_spelling_of_json() -> None:
    name, text, usage = WORST * MAX_NAME, WORST * MAX_TEXT, Usage(2**31, 2**31, 2**31)
    build = VoiceEvents("/" * MAX_NAME, ManualClock(), session_id=name, subject=name)
    events: list[Event] = [
        build.started(origin=name, dialect="native", model=text),
        build.transcript(Transcript("assistant", name, text, True, name), turn=2**31),
        build.tool(ToolCall(name, name, text, True)),
        build.turn(ResponseDone(name, name, text, True, usage), turn=2**31, waited=3600.0),
        build.ended(SUMMARY, turns=2**31, usage=usage),
    ]
    for event in events:
        whole = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type,
                 "subject": event.subject, "time": event.time, "data": event.data}  # fmt: skip
        assert len(json.dumps(whole)) < LARGEST_EVENT
        assert json.loads(json.dumps(event.data)) == event.data
