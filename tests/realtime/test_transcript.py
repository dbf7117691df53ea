import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.realtime import messages
from voxgate_realtime.transcript import (
    AUDIO_DELTA,
    INTERESTING,
    MAX_NAME,
    MAX_TEXT,
    MAX_TOKENS,
    InputCommitted,
    Misfit,
    ResponseCreated,
    ResponseDone,
    ToolCall,
    Transcript,
    Usage,
    read_fact,
)

GRIN = "\N{GRINNING FACE}"
ANY_TYPE = st.sampled_from(sorted(INTERESTING | {AUDIO_DELTA, "error"}))
FIELDS = st.sampled_from(
    ["type", "item", "item_id", "response", "response_id", "id", "status", "output", "usage", "content", "transcript",
     "text", "call_id", "name", "arguments", "input_tokens", "x"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=20,
)


def fact_of(message: bytes) -> Any:
    return read_fact(json.loads(message)["type"], message)


@pytest.mark.parametrize(
    ("message", "fact"),
    [
        (messages.committed("item_7"), InputCommitted("item_7")),
        (messages.created("resp_7"), ResponseCreated("resp_7")),
        (messages.heard("Grüß Gott", "item_7"), Transcript("user", "item_7", "Grüß Gott", False)),
        (messages.heard(""), Transcript("user", "item_u", "", False)),
        (messages.spoken("It rains."), Transcript("assistant", "item_a", "It rains.", False, "resp_1")),
        (messages.written("It rains."), Transcript("assistant", "item_a", "It rains.", False, "resp_1")),
        (messages.item_done(messages.call("{not json")), ToolCall("call_1", "weather", "{not json", False)),
        (messages.done(), ResponseDone("resp_1", "completed", None, False, Usage(30, 12, 42))),
        (messages.done(status="cancelled", usage=None), ResponseDone("resp_1", "cancelled", None, False, None)),
    ],
)
def test_messages_of_the_official_shape_are_facts(message: bytes, fact: object) -> None:
    assert fact_of(message) == fact


def test_a_responses_text_is_that_of_its_messages_a_line_each() -> None:
    output = [
        messages.message_item({"type": "output_audio", "transcript": "One"}, {"type": "output_text", "text": "two"}),
        messages.call(),
        messages.message_item(item_id="item_b"),
        messages.message_item({"type": "output_text", "text": "three"}, item_id="item_c"),
    ]
    assert fact_of(messages.done(*output)).text == "One\ntwo\nthree"


@pytest.mark.parametrize("output", [{}, {"output": None}, {"output": [{"type": "new", "content": 7, "name": []}]}])
def test_output_that_is_absent_or_of_another_kind_has_no_text(output: dict[str, object]) -> None:
    message = json.dumps({"type": "response.done", "response": {"id": "r", "status": "failed", **output}}).encode()
    assert fact_of(message) == ResponseDone("r", "failed", None, False, None)


def test_usage_that_is_told_in_part_counts_in_part() -> None:
    message = messages.done(usage={"total_tokens": 5})
    assert fact_of(message).usage == Usage(0, 0, 5)


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3) + Usage(10, 20, 30) == Usage(11, 22, 33)


@pytest.mark.parametrize(
    "item",
    [
        messages.message_item({"type": "output_text", "text": "hi"}),
        messages.call('{"city":"Os', status="incomplete"),
        {"type": "mcp_call", "id": "m", "name": "weather", "arguments": "{}", "server_label": "s"},
    ],
)
def test_an_item_that_calls_nothing_tells_nothing(item: dict[str, object]) -> None:
    assert fact_of(messages.item_done(item)) is None


@pytest.mark.parametrize("kind", [AUDIO_DELTA, "input_audio_buffer.speech_stopped", "error"])
def test_other_types_are_not_read(kind: str) -> None:
    assert read_fact(kind, b"whatever") is None


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_text_is_cut_at_its_bound(extra: int) -> None:
    text = GRIN * (MAX_TEXT + extra)
    output = messages.message_item({"type": "output_audio", "transcript": text})
    for message in (messages.heard(text), messages.spoken(text), messages.written(text), messages.done(output)):
        fact = fact_of(message)
        assert (fact.text, fact.truncated) == (text[:MAX_TEXT], extra > 0)
    fact = fact_of(messages.item_done(messages.call(text)))
    assert (fact.arguments, fact.truncated) == (text[:MAX_TEXT], extra > 0)


LONG = "x" * (MAX_NAME + 1)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "input_audio_buffer.committed"},
        {"type": "input_audio_buffer.committed", "item_id": ""},
        {"type": "input_audio_buffer.committed", "item_id": LONG},
        {"type": "response.created", "response": "resp_1"},
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": "i", "transcript": None},
        {"type": "response.output_audio_transcript.done", "item_id": "i", "transcript": "no response"},
        {"type": "response.output_text.done", "item_id": "i", "response_id": "r", "text": 7},
        {"type": "response.output_item.done"},
        {"type": "response.output_item.done", "item": 7},
        {"type": "response.output_item.done", "item": messages.call(call_id=None)},
        {"type": "response.output_item.done", "item": messages.call(name=LONG)},
        {"type": "response.output_item.done", "item": {**messages.call(), "arguments": {"city": "Oslo"}}},
        {"type": "response.done", "response": {"id": "r"}},
        {"type": "response.done", "response": {"id": "r", "status": "completed", "output": {}}},
        {"type": "response.done", "response": {"id": "r", "status": "completed", "output": [{"type": "message"}]}},
        {"type": "response.done", "response": {"id": "r", "status": "completed", "usage": {"total_tokens": -1}}},
        {"type": "response.done", "response": {"id": "r", "status": "x", "usage": {"total_tokens": MAX_TOKENS + 1}}},
    ],
)
def test_a_body_of_another_shape_is_a_misfit(message: dict[str, object]) -> None:
    assert fact_of(json.dumps(message).encode()) == Misfit()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"item":', b"[" * 100_000, b'{"item_id":"\xff"}', b'{"item_id":"\\ud800"}']
)
def test_what_is_no_event_is_a_misfit(body: bytes) -> None:
    assert read_fact("input_audio_buffer.committed", body) == Misfit()


@given(ANY_TYPE, st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing(kind: str, message: bytes) -> None:
    read_fact(kind, message)


@given(ANY_TYPE, st.dictionaries(FIELDS, JSON, max_size=8))
def test_arbitrary_events_raise_nothing(kind: str, event: dict[str, object]) -> None:
    read_fact(kind, json.dumps(event).encode())


@given(st.text(), st.text(min_size=1, max_size=MAX_NAME))
def test_words_arrive_as_they_were_said(text: str, item_id: str) -> None:
    event = {"item_id": item_id, "transcript": text, "response_id": "r"}
    for ascii_only in (True, False):
        try:
            message = json.dumps(event, ensure_ascii=ascii_only).encode()
        except UnicodeEncodeError:  # a lone surrogate cannot be UTF-8
            continue
        fact = read_fact("response.output_audio_transcript.done", message)
        assert fact in (Transcript("assistant", item_id, text, False, "r"), Misfit())
