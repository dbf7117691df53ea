import pytest

from tests.engine.wire import Talk, noise, one, text_of, types_of
from voxgate_engine import EngineSettings

CREATE = "conversation.item.create"


@pytest.fixture
def talk() -> Talk:
    return Talk(EngineSettings(replies=("one two three four",)))


def test_an_item_is_added_and_done_at_once(talk: Talk) -> None:
    item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be kind."}], "id": "mine"}
    events = talk.send(CREATE, item=item)
    assert types_of(events) == ["conversation.item.added", "conversation.item.done"]
    assert events[0]["item"] == {**item, "object": "realtime.item", "status": "completed"}
    assert events[0]["previous_item_id"] is None


def test_an_item_may_go_first(talk: Talk) -> None:
    last = talk.say()
    message = {"type": "message", "role": "user", "content": []}
    added = one(talk.send(CREATE, item=message, previous_item_id="root"), "conversation.item.added")
    assert added["previous_item_id"] is None
    assert [item.id for item in talk.conversation.items] == [added["item"]["id"], last]


def test_an_id_is_used_once(talk: Talk) -> None:
    talk.say(id="mine")
    message = {"type": "message", "role": "user", "content": [], "id": "mine"}
    assert talk.refused(CREATE, item=message)["code"] == "item_create_duplicate_id"


def test_audio_in_an_item_counts_and_comes_back(talk: Talk) -> None:
    audio = text_of(noise(250))
    content = [{"type": "input_audio", "audio": audio}]
    added = one(
        talk.send(CREATE, item={"type": "message", "role": "user", "content": content}), "conversation.item.added"
    )
    assert "audio" not in added["item"]["content"][0]
    shown = one(talk.send("conversation.item.retrieve", item_id=added["item"]["id"]), "conversation.item.retrieved")
    assert shown["item"]["content"][0]["audio"] == audio
    assert talk.respond()[-1]["response"]["usage"]["input_token_details"]["audio_tokens"] == 3


def test_an_assistants_words_can_be_put_in_its_mouth_as_text_only(talk: Talk) -> None:
    text = [{"type": "output_text", "text": "I said so."}]
    assert len(talk.send(CREATE, item={"type": "message", "role": "assistant", "content": text})) == 2
    audio = [{"type": "output_audio", "audio": "AAAA", "transcript": "no"}]
    refused = talk.refused(CREATE, item={"type": "message", "role": "assistant", "content": audio})
    assert refused["param"] == "item.content[0].type"


def test_an_output_needs_the_call_it_answers(talk: Talk) -> None:
    output = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
    assert talk.refused(CREATE, item=output)["code"] == "invalid_tool_call_id"
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    talk.send(CREATE, item=call)
    assert one(talk.send(CREATE, item=output), "conversation.item.done")["item"]["output"] == "42"


def test_a_call_without_an_id_is_given_one(talk: Talk) -> None:
    events = talk.send(CREATE, item={"type": "function_call", "name": "f", "arguments": "{}"})
    assert events[0]["item"]["call_id"].startswith("call_")


def test_a_reference_is_no_item(talk: Talk) -> None:
    item_id = talk.say()
    assert talk.refused(CREATE, item={"type": "item_reference", "id": item_id})["param"] == "item.type"


@pytest.mark.parametrize("verb", ["retrieve", "delete", "truncate"])
def test_an_item_that_is_not_there_is_named_in_the_refusal(talk: Talk, verb: str) -> None:
    extra = {"content_index": 0, "audio_end_ms": 0} if verb == "truncate" else {}
    error = talk.refused(f"conversation.item.{verb}", item_id="gone", **extra)
    assert error["code"] == f"item_{verb}_invalid_item_id"
    assert error["param"] == "item_id"


def test_a_deleted_item_is_gone(talk: Talk) -> None:
    item_id = talk.say()
    assert types_of(talk.send("conversation.item.delete", item_id=item_id)) == ["conversation.item.deleted"]
    assert talk.refused("conversation.item.delete", item_id=item_id)["code"] == "item_delete_invalid_item_id"


def test_truncating_forgets_the_audio_that_was_not_heard_and_the_words(talk: Talk) -> None:
    item_id = talk.respond()[-1]["response"]["output"][0]["id"]
    where = {"item_id": item_id, "content_index": 0}
    events = talk.send("conversation.item.truncate", **where, audio_end_ms=300)
    assert types_of(events) == ["conversation.item.truncated"]
    shown = one(talk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")["item"]
    assert shown["content"][0]["transcript"] == ""
    assert len(shown["content"][0]["audio"]) == len(text_of(bytes(300 * 48)))
    error = talk.refused("conversation.item.truncate", **where, audio_end_ms=301)
    assert error["message"] == "Audio content of 300ms is already shorter than 301ms."


def test_only_an_assistants_audio_can_be_truncated(talk: Talk) -> None:
    spoken = talk.respond()[-1]["response"]["output"][0]["id"]
    written = talk.respond(output_modalities=["text"])[-1]["response"]["output"][0]["id"]
    for item_id, index in ((talk.say(), 0), (spoken, 1), (spoken, -1), (written, 0)):
        refused = talk.refused("conversation.item.truncate", item_id=item_id, content_index=index, audio_end_ms=0)
        assert refused["code"] == "invalid_value"


def test_too_much_text_is_refused_and_a_response_is_still_possible(talk: Talk) -> None:
    talk.conversation.items._max_text_chars = 10
    talk.say("x" * 10)
    content = [{"type": "input_text", "text": "y"}]
    refused = talk.refused(CREATE, item={"type": "message", "role": "user", "content": content})
    assert refused["code"] == "conversation_full"
    assert talk.respond()[-1]["response"]["status"] == "completed"
    assert talk.respond()[-1]["response"]["status"] == "completed"
