import itertools

import pytest

from tests.engine.turns import FINISHED, HEARD, STARTED, TURN, listening
from tests.engine.wire import Talk, noise, one, silence, text_of, types_of
from voxgate_engine import EngineSettings, Floor
from voxgate_engine.limits import MAX_BUFFER_BYTES, MAX_OUT_OF_BAND

# turns by hand


def test_push_to_talk_commits_and_answers_when_told() -> None:
    talk = Talk()
    assert talk.append(noise(200) + silence(900)) == []
    assert types_of(talk.send("input_audio_buffer.commit")) == HEARD[2:]
    events = talk.respond()
    assert types_of(events)[: len(STARTED)] == STARTED
    assert types_of(events)[-len(FINISHED) :] == FINISHED


def test_an_empty_buffer_can_not_be_committed() -> None:
    assert Talk().refused("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"


def test_a_full_buffer_refuses_more_and_keeps_what_it_has() -> None:
    talk = Talk()
    talk.conversation._buffer.append(bytes(MAX_BUFFER_BYTES))
    refused = talk.refused("input_audio_buffer.append", audio=text_of(silence(10)))
    assert refused["code"] == "input_audio_buffer_full"
    assert talk.conversation._buffer.end == MAX_BUFFER_BYTES // 2


def test_two_responses_do_not_run_in_one_conversation() -> None:
    talk = Talk()
    running = one(talk.send("response.create"), "response.created")["response"]["id"]
    error = talk.refused("response.create", event_id="mine")
    assert error["code"] == "conversation_already_has_active_response"
    assert running in error["message"]
    assert error["event_id"] == "mine"


def test_a_response_is_cancelled_once() -> None:
    talk = Talk()
    talk.send("response.create")
    talk.advance(0.1)
    events = talk.send("response.cancel")
    assert types_of(events) == FINISHED
    assert events[-1]["response"]["status_details"]["reason"] == "client_cancelled"
    assert talk.refused("response.cancel")["code"] == "response_cancel_not_active"
    assert talk.respond()[-1]["response"]["status"] == "completed"


def test_a_response_is_cancelled_by_its_id() -> None:
    talk = Talk()
    response_id = one(talk.send("response.create"), "response.created")["response"]["id"]
    assert talk.refused("response.cancel", response_id="resp_other")["code"] == "response_cancel_not_active"
    assert types_of(talk.send("response.cancel", response_id=response_id))[-1] == "response.done"


def test_an_item_deleted_while_it_is_spoken_is_done_but_not_in_the_conversation() -> None:
    talk = Talk()
    item_id = one(talk.send("response.create"), "conversation.item.added")["item"]["id"]
    talk.send("conversation.item.delete", item_id=item_id)
    events = talk.until("response.done")
    assert "conversation.item.done" not in types_of(events)
    assert one(events, "response.output_item.done")["item"]["id"] == item_id


def test_webrtc_only_events_are_refused_by_name() -> None:
    assert Talk().refused("output_audio_buffer.clear")["param"] == "type"


def test_a_binary_message_is_an_error_and_no_more() -> None:
    talk = Talk()
    assert types_of(talk.conversation.refuse_binary()) == ["error"]
    assert talk.conversation.closing is None


# out of band


def test_responses_out_of_band_run_beside_the_conversation_and_leave_no_item() -> None:
    talk = Talk()
    talk.send("response.create")
    events = talk.send("response.create", response={"conversation": "none", "metadata": {"topic": "mood"}})
    created = one(events, "response.created")["response"]
    assert created["conversation_id"] is None
    assert created["metadata"] == {"topic": "mood"}
    assert "conversation.item.added" not in types_of(events)
    done = [event["response"] for event in talk.advance(30) if event["type"] == "response.done"]
    assert len(done) == 2
    assert len(talk.conversation.items) == 1


def test_audio_heard_out_of_band_locks_the_voice_as_well() -> None:
    talk = Talk()
    talk.respond(conversation="none")
    session = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    assert talk.refused("session.update", session=session)["code"] == "cannot_update_voice"


def test_responses_out_of_band_are_bounded_and_can_be_cancelled() -> None:
    talk = Talk()
    started = [talk.send("response.create", response={"conversation": "none"}) for _ in range(MAX_OUT_OF_BAND)]
    refused = talk.refused("response.create", response={"conversation": "none"})
    assert refused["code"] == "too_many_responses"
    assert talk.refused("response.cancel")["code"] == "response_cancel_not_active"
    last = one(started[-1], "response.created")["response"]["id"]
    assert types_of(talk.send("response.cancel", response_id=last))[-1] == "response.done"


# transcripts and idleness


def test_what_the_user_said_is_transcribed_beside_the_response() -> None:
    talk = Talk(EngineSettings(transcripts=("good morning",)), detection={})
    talk.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
    item_id = one(talk.append(TURN), "input_audio_buffer.committed")["item_id"]
    events = talk.until("conversation.item.input_audio_transcription.completed")
    deltas = [event for event in events if event["type"].endswith("transcription.delta")]
    assert "".join(event["delta"] for event in deltas) == "good morning"
    done = one(events, "conversation.item.input_audio_transcription.completed")
    assert done["transcript"] == "good morning"
    assert done["item_id"] == item_id
    item = one(talk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")["item"]
    assert item["content"][0]["transcript"] == "good morning"
    assert len(item["content"][0]["audio"]) == len(text_of(bytes(48 * 1_400)))


def test_a_silent_user_is_prompted_after_the_answer_was_heard() -> None:
    talk = listening(idle_timeout_ms=6_000)
    talk.append(TURN)
    start = talk.now
    talk.until("response.done")
    part = list(talk.conversation.items)[-1].parts[0]
    talk.append(silence(200))
    events = talk.until("input_audio_buffer.timeout_triggered")
    assert talk.now - start == pytest.approx(0.03 + part.audio_ms / 1000 + 6.0)
    assert types_of(events) == ["input_audio_buffer.timeout_triggered", *HEARD[2:], *STARTED]
    assert (events[0]["audio_start_ms"], events[0]["audio_end_ms"]) == (1_500, 1_700)
    assert events[0]["item_id"] == events[1]["item_id"]


def test_speech_stops_the_idle_timer() -> None:
    talk = listening(idle_timeout_ms=5_000, create_response=False)
    talk.respond()
    talk.append(noise(100))
    assert talk.advance(60) == []


def test_an_idle_timer_in_a_full_conversation_is_one_error() -> None:
    talk = listening(idle_timeout_ms=5_000)
    talk.respond()
    talk.conversation.items._max_items = 1
    assert [event["error"]["code"] for event in talk.advance(60)] == ["conversation_full"]


def test_a_turn_in_a_full_conversation_is_over_and_says_why_it_is_lost() -> None:
    talk = listening()
    talk.conversation.items._max_items = 0
    events = talk.append(TURN)
    assert types_of(events) == [*HEARD[:2], "error"]
    assert talk.floor() is Floor.LISTENING
    assert talk.refused("response.create")["code"] == "conversation_full"


# usage


def test_usage_adds_up_and_what_was_seen_before_is_cached() -> None:
    talk = Talk()
    talk.append(noise(1_000))
    talk.send("input_audio_buffer.commit")
    first = talk.respond()[-1]["response"]["usage"]
    talk.say("and then")
    second = talk.respond()[-1]["response"]["usage"]
    assert first["input_token_details"]["audio_tokens"] == 10
    assert first["input_token_details"]["cached_tokens"] == 0
    assert second["input_token_details"]["cached_tokens"] > first["input_tokens"]
    assert second["input_tokens"] > second["input_token_details"]["cached_tokens"]
    for usage in (first, second):
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        for side in ("input", "output"):
            details = usage[f"{side}_token_details"]
            counted = sum(details.get(f"{kind}_tokens", 0) for kind in ("text", "audio", "image"))
            assert counted == usage[f"{side}_tokens"]


def test_replies_come_in_their_order() -> None:
    talk = Talk(EngineSettings(replies=("one", "two")))
    said = [one(talk.respond(), "response.output_audio_transcript.done")["transcript"] for _ in range(3)]
    assert said == ["one", "two", "one"]


def test_no_two_ids_are_the_same() -> None:
    talk = Talk()
    ids = [item["id"] for item in itertools.chain(*(talk.respond()[-1]["response"]["output"] for _ in range(3)))]
    assert len(set(ids)) == 3
