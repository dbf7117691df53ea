import pytest

from tests.engine.wire import Talk, noise, one

TOOL = {"type": "function", "name": "f"}


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_a_response_takes_its_settings_from_the_session_unless_it_has_its_own(talk: Talk) -> None:
    talk.update(output_modalities=["text"], max_output_tokens=300)
    usual = one(talk.respond(), "response.created")["response"]
    assert (usual["output_modalities"], usual["max_output_tokens"]) == (["text"], 300)
    own = {
        "output_modalities": ["audio"],
        "audio": {"output": {"voice": {"id": "v"}, "format": {"type": "audio/pcma"}}},
    }
    other = one(talk.respond(**own), "response.created")["response"]
    assert other["output_modalities"] == ["audio"]
    assert other["audio"]["output"] == {"format": {"type": "audio/pcma"}, "voice": "v"}


def test_a_faster_voice_takes_less_time(talk: Talk) -> None:
    def tokens() -> int:
        usage = talk.respond()[-1]["response"]["usage"]
        return int(usage["output_token_details"]["audio_tokens"])

    talk.conversation._planner.replies._next = 0
    usual = tokens()
    talk.update(audio={"output": {"speed": 1.5}})
    talk.conversation._planner.replies._next = 0
    assert tokens() == pytest.approx(usual / 1.5, rel=0.05)


def test_a_conversation_is_auto_none_or_its_own(talk: Talk) -> None:
    own = one(talk.respond(conversation="auto"), "response.created")["response"]["conversation_id"]
    assert one(talk.respond(conversation=own), "response.created")["response"]["conversation_id"] == own
    assert talk.refused("response.create", response={"conversation": "conv_other"})["param"] == "response.conversation"


def test_given_input_stands_in_for_the_conversation(talk: Talk) -> None:
    talk.append(noise(2_000))
    talk.send("input_audio_buffer.commit")
    item_id = talk.say("x" * 400)
    fresh = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}

    def context(*given: object) -> dict[str, int]:
        done = talk.respond(conversation="none", input=given, instructions="")[-1]["response"]
        return dict(done["usage"]["input_token_details"])

    assert context(fresh)["text_tokens"] == 1
    assert context(fresh, {"type": "item_reference", "id": item_id})["text_tokens"] == 101
    assert context()["audio_tokens"] == 0


def test_input_that_is_not_there_or_not_whole_is_named(talk: Talk) -> None:
    gone = {"type": "item_reference", "id": "gone"}
    assert talk.refused("response.create", response={"input": [gone]})["param"] == "response.input[0].id"
    lame = {"type": "message", "role": "user"}
    assert talk.refused("response.create", response={"input": [lame]})["param"] == "response.input[0].content"


def test_a_forced_tool_must_be_there(talk: Talk) -> None:
    assert talk.refused("response.create", response={"tool_choice": "required"})["param"] == "tool_choice"
    named = {"type": "function", "name": "other"}
    refused = talk.refused("response.create", response={"tools": [TOOL], "tool_choice": named})
    assert "other" in refused["message"]


def test_tools_cost_tokens(talk: Talk) -> None:
    without = talk.respond(conversation="none")[-1]["response"]["usage"]["input_tokens"]
    talk.update(tools=[TOOL])
    assert talk.respond(conversation="none")[-1]["response"]["usage"]["input_tokens"] > without
    assert talk.respond(conversation="none", tools=[])[-1]["response"]["usage"]["input_tokens"] == without


def test_a_refused_response_takes_no_reply_from_the_script(talk: Talk) -> None:
    talk.refused("response.create", response={"tool_choice": "required"})
    said = one(talk.respond(), "response.output_audio_transcript.done")["transcript"]
    assert said == talk.conversation._settings.replies[0]
