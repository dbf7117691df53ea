import base64
import json

import pytest

from tests.engine.wire import Event, Talk, judge, one, types_of
from voxgate_engine import EngineSettings
from voxgate_engine.events import Event as ServerEvent
from voxgate_engine.generation import Generation, Plan
from voxgate_engine.input_buffer import codec_of

TOOL: Event = {
    "type": "function",
    "name": "book_table",
    "description": "Books a table.",
    "parameters": {
        "type": "object",
        "properties": {"seats": {"type": "integer"}, "room": {"enum": ["garden", "hall"]}},
        "required": ["seats", "room"],
    },
}


def plan(**fields: object) -> Plan:
    shown: ServerEvent = {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"}
    values: Event = {
        "response_id": "resp_1", "item_id": "item_1", "conversation_id": None, "modality": "audio",
        "codec": codec_of("audio/pcm"), "audio_shown": shown, "max_output_tokens": "inf", "pace": 4.0, "delay": 0.03,
        "text": "one two",
    }  # fmt: skip
    return Plan(**(values | fields))


def test_nothing_is_said_before_it_is_due() -> None:
    generation = Generation(plan(), started=100.0)
    assert generation.due == pytest.approx(100.03)
    assert generation.advance(100.02, 10) == []


def test_a_word_and_its_first_audio_leave_together_and_in_order() -> None:
    generation = Generation(plan(), started=0.0)
    assert types_of(generation.advance(0.031, 10)) == [
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
    ]


def test_no_more_leaves_at_once_than_is_asked_for() -> None:
    generation = Generation(plan(), started=0.0)
    assert len(generation.advance(1e9, 3)) == 3
    assert generation.due is not None
    generation.advance(1e9, 100)
    assert generation.outcome == ("completed", None)
    assert generation.due is None


def test_deltas_add_up_to_the_whole() -> None:
    events = Talk(EngineSettings(replies=("Good morning, friend.",))).respond()
    words = [event["delta"] for event in events if event["type"] == "response.output_audio_transcript.delta"]
    assert "".join(words) == "Good morning, friend."
    assert one(events, "response.output_audio_transcript.done")["transcript"] == "Good morning, friend."
    assert one(events, "response.content_part.done")["part"]["transcript"] == "Good morning, friend."
    audio = b"".join(base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")
    assert len(audio) > 48_000
    assert len(audio) % 2 == 0


def test_text_is_written_without_a_sound() -> None:
    events = Talk(EngineSettings(replies=("Just text.",))).respond(output_modalities=["text"])
    assert not [event for event in events if "audio" in event["type"]]
    assert [event["delta"] for event in events if event["type"] == "response.output_text.delta"] == ["Just", " text."]
    assert one(events, "response.output_text.done")["text"] == "Just text."
    response = events[-1]["response"]
    assert response["output"][0]["content"] == [{"type": "output_text", "text": "Just text."}]
    assert response["output_modalities"] == ["text"]
    assert response["usage"]["output_token_details"] == {"text_tokens": 3, "audio_tokens": 0}


def test_a_forced_tool_is_called_with_arguments_that_fit() -> None:
    events = Talk().respond(tools=[TOOL], tool_choice="required")
    deltas = [event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    done = one(events, "response.function_call_arguments.done")
    assert "".join(deltas) == done["arguments"]
    assert json.loads(done["arguments"]) == {"seats": 0, "room": "garden"}
    assert done["name"] == "book_table"
    item = events[-1]["response"]["output"][0]
    assert (item["type"], item["status"], item["call_id"]) == ("function_call", "completed", done["call_id"])
    assert "response.content_part.added" not in types_of(events)


def test_an_output_follows_its_call_and_the_next_response_speaks() -> None:
    talk = Talk()
    call = talk.respond(tools=[TOOL], tool_choice={"type": "function", "name": "book_table"})[-1]
    call_id = call["response"]["output"][0]["call_id"]
    output = {"type": "function_call_output", "call_id": call_id, "output": '{"ok":true}'}
    talk.send("conversation.item.create", item=output)
    assert talk.respond()[-1]["response"]["output"][0]["role"] == "assistant"


@pytest.mark.parametrize("limit", [1, 2, 7, 20])
def test_a_response_stops_at_its_token_limit(limit: int) -> None:
    response = Talk().respond(max_output_tokens=limit)[-1]["response"]
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["usage"]["output_tokens"] <= limit
    assert response["output"][0]["status"] == "incomplete"
    assert response["max_output_tokens"] == limit


def test_a_call_stops_at_its_token_limit() -> None:
    response = Talk().respond(tools=[TOOL], tool_choice="required", max_output_tokens=5)[-1]["response"]
    assert response["status"] == "incomplete"
    assert response["usage"]["output_tokens"] <= 5


def test_a_limit_that_is_not_met_changes_nothing() -> None:
    assert Talk().respond(max_output_tokens=4_096)[-1]["response"]["status"] == "completed"


def test_a_response_in_progress_shows_no_output_and_no_usage() -> None:
    generation = Generation(plan(), started=0.0)
    created: ServerEvent = {"type": "response.created", "event_id": "e", "response": generation.describe("in_progress")}
    response = judge(json.dumps(created))["response"]
    assert (response["output"], response["usage"], response["status_details"]) == ([], None, None)


def test_playback_ends_when_all_that_was_sent_is_heard() -> None:
    generation = Generation(plan(), started=10.0)
    generation.advance(1e9, 1_000)
    assert generation.playback_ends == pytest.approx(10.03 + generation.item.parts[0].audio_ms / 1000)
