"""Whatever a client sends, a conversation answers with valid events and goes on."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.wire import Talk, judge, noise, silence, text_of, types_of
from voxgate_engine import EngineSettings, Floor

SCRIPT = EngineSettings(replies=("yes.", "no, not at all."), transcripts=("what?",))
IDS = st.sampled_from(["item_a", "item_b", "root", "resp_1", "", "x" * 70, "\x00"])
AUDIO = st.sampled_from(
    [text_of(noise(120)), text_of(silence(600)), text_of(noise(200) + silence(600)), "AA==", "AAA=", "!", ""]
)
PARTS = st.sampled_from([
    {"type": "input_text", "text": "hi"}, {"type": "input_audio", "audio": text_of(noise(20))},
    {"type": "output_text", "text": "so"}, {"type": "input_image", "image_url": "data:,"}, {"type": "input_text"}, {},
])  # fmt: skip
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "function_call_output", "item_reference", "mcp_call"])},
    optional={
        "id": IDS, "role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": st.lists(PARTS, max_size=2),
        "call_id": IDS, "name": st.just("f"), "arguments": st.just("{}"), "output": st.just("1"),
    },
)  # fmt: skip
DETECTION = st.sampled_from([
    None, {"type": "server_vad"}, {"type": "semantic_vad", "eagerness": "high"}, {"type": "server_vad", "threshold": 2},
    {"type": "server_vad", "interrupt_response": False, "silence_duration_ms": 40},
    {"type": "server_vad", "idle_timeout_ms": 5_000, "create_response": False, "threshold": 0},
])  # fmt: skip
FORMAT = st.sampled_from(
    [{"type": "audio/pcm"}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}, {"type": "audio/opus"}]
)
TOOLS = st.lists(st.sampled_from([{"type": "function", "name": "f"}, {"type": "mcp"}]), max_size=2)
CHOICE = st.sampled_from(["auto", "none", "required", {"type": "function", "name": "f"}, 3])
SESSION = st.fixed_dictionaries(
    {"type": st.sampled_from(["realtime", "realtime", "transcription"])},
    optional={
        "audio": st.fixed_dictionaries({}, optional={
            "input": st.fixed_dictionaries({}, optional={
                "turn_detection": DETECTION, "format": FORMAT, "transcription": st.sampled_from([None, {"model": "m"}]),
            }),
            "output": st.fixed_dictionaries({}, optional={"format": FORMAT, "voice": st.sampled_from(["ash", "", None])}),
        }),
        "tools": TOOLS, "tool_choice": CHOICE, "output_modalities": st.sampled_from([["audio"], ["text"], []]),
        "modalities": st.just(["text"]),
    },
)  # fmt: skip
RESPONSE = st.fixed_dictionaries({}, optional={
    "conversation": st.sampled_from(["auto", "none", "conv_1"]), "input": st.lists(ITEMS, max_size=2), "tools": TOOLS,
    "tool_choice": CHOICE, "max_output_tokens": st.sampled_from([1, 6, 5_000, "inf", "all"]),
    "output_modalities": st.sampled_from([["audio"], ["text"]]),
})  # fmt: skip


def event(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields}, optional={"event_id": st.text(max_size=5)})


NUMBER = st.integers(-1, 1_000) | st.integers()
EVENTS = st.one_of(
    event("input_audio_buffer.append", audio=AUDIO),
    event("input_audio_buffer.append", audio=AUDIO),
    event("input_audio_buffer.commit"),
    event("input_audio_buffer.clear"),
    event("output_audio_buffer.clear"),
    event("session.update", session=SESSION),
    event("conversation.item.create", item=ITEMS, previous_item_id=st.none() | IDS),
    event("conversation.item.retrieve", item_id=IDS),
    event("conversation.item.delete", item_id=IDS),
    event("conversation.item.truncate", item_id=IDS, content_index=NUMBER, audio_end_ms=NUMBER),
    event("response.create", response=st.none() | RESPONSE),
    event("response.create"),
    event("response.cancel", response_id=st.none() | IDS),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.one_of(
    EVENTS.map(json.dumps),
    EVENTS.map(json.dumps),
    JSON.map(json.dumps),
    st.tuples(EVENTS, st.text(max_size=8), JSON).map(lambda made: json.dumps({**made[0], made[1]: made[2]})),
    st.tuples(EVENTS.map(json.dumps), st.integers(0, 200)).map(lambda made: made[0][: made[1]]),
    st.text(max_size=20),
    st.binary(max_size=20),
)
STEPS = st.lists(st.tuples(MESSAGES, st.sampled_from([0.0, 0.0, 0.05, 1.0, 10.0])), max_size=14)


def check_state(talk: Talk) -> None:
    conversation = talk.conversation
    answering = conversation.floor in (Floor.ANSWERING, Floor.OVERLAPPING)
    assert answering == (conversation._response is not None)
    detects = conversation.session.audio.input.turn_detection is not None
    assert (conversation._vad is not None) == detects
    hearing = conversation.floor in (Floor.HEARING, Floor.OVERLAPPING)
    assert hearing == (conversation._vad is not None and conversation._vad.speaking)
    assert conversation.due is not None
    assert conversation.due >= talk.now or conversation.due == conversation._idle_due


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(STEPS)
def test_no_message_breaks_a_conversation(steps: list[tuple[str | bytes, float]]) -> None:
    talk = Talk(SCRIPT, detection={})
    for message, seconds in steps:
        talk.raw(message)
        talk.advance(seconds)
        check_state(talk)
    talk.advance(60)
    if talk.conversation.floor is Floor.ANSWERING:
        talk.send("response.cancel")
    talk.send("input_audio_buffer.clear")
    talk.update(output_modalities=["text"], tool_choice="auto", tools=[])
    assert types_of(talk.send("response.create"))[0] == "response.created"
    talk.until("response.done")


@given(st.text(alphabet=st.characters(min_codepoint=0xD7F0, max_codepoint=0xE010, categories=None), max_size=4))
def test_no_text_in_json_escapes_breaks_an_answer(text: str) -> None:
    talk = Talk()
    for message in ({"type": text, "event_id": text}, {"type": "conversation.item.retrieve", "item_id": text}):
        for answer in talk.raw(json.dumps(message)):
            assert judge(json.dumps(answer))["type"] == "error"
