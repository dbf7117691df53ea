import pytest

from tests.engine.turns import AUDIO_EVENTS, FINISHED, HEARD, STARTED, TURN, listening
from tests.engine.wire import Talk, noise, one, silence, types_of
from voxgate_engine import TRANSITIONS, Cue, EngineSettings, Floor
from voxgate_engine.limits import MAX_BUFFER_BYTES

# the table


def test_every_floor_but_the_last_can_be_closed_and_none_is_left_after_that() -> None:
    for floor in Floor:
        assert ((floor, Cue.CLOSE) in TRANSITIONS) == (floor is not Floor.CLOSED)
    assert not any(floor is Floor.CLOSED for floor, _ in TRANSITIONS)


def test_speech_and_responses_come_in_pairs() -> None:
    speech = {Floor.HEARING, Floor.OVERLAPPING}
    answer = {Floor.ANSWERING, Floor.OVERLAPPING}
    for floor in set(Floor) - {Floor.CLOSED}:
        assert ((floor, Cue.SPEECH_ENDED) in TRANSITIONS) == (floor in speech)
        assert ((floor, Cue.SPEECH_STARTED) in TRANSITIONS) == (floor not in speech)
        assert ((floor, Cue.RESPONSE_ENDED) in TRANSITIONS) == (floor in answer)
        assert ((floor, Cue.RESPONSE_STARTED) in TRANSITIONS) == (floor not in answer)


# a session


def test_a_session_opens_with_its_settings() -> None:
    session = one(Talk(detection={}).opening, "session.created")["session"]
    assert session["model"] == "gpt-realtime-2.1"
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }


def test_every_event_has_an_id_of_its_own() -> None:
    talk = Talk()
    events = talk.opening + talk.respond()
    assert len({event["event_id"] for event in events}) == len(events)


def test_a_session_ends_after_an_hour() -> None:
    talk = Talk()
    talk.advance(3_599)
    assert talk.floor() is Floor.LISTENING
    error = one(talk.advance(1), "error")["error"]
    assert error["code"] == "session_expired"
    assert talk.conversation.closing is not None
    assert talk.conversation.closing.code == 1001
    assert talk.floor() is Floor.CLOSED
    assert talk.conversation.due is None
    assert talk.send("response.create") == []
    assert talk.conversation.advance(9e9) == []


def test_the_beta_shape_is_refused_as_the_api_refuses_it() -> None:
    talk = Talk(detection={})
    error = talk.conversation.refuse_beta()[0]["error"]
    assert isinstance(error, dict)
    assert error["code"] == "beta_api_shape_disabled"
    assert talk.conversation.closing is not None
    assert talk.conversation.closing.code == 4000
    assert talk.conversation.closing.reason == "invalid_request_error.beta_api_shape_disabled"


def test_a_model_can_be_named_again_but_not_changed() -> None:
    talk = Talk()
    talk.update(model="gpt-realtime-2.1")
    session = {"type": "realtime", "model": "gpt-realtime"}
    assert talk.refused("session.update", session=session)["code"] == "cannot_update_model"


def test_the_voice_locks_with_the_first_audio() -> None:
    talk = Talk()
    other = {"audio": {"output": {"voice": "cedar"}}}
    talk.update(**other)
    talk.send("response.create")
    talk.update(audio={"output": {"voice": "marin"}})
    talk.until("response.output_audio.delta")
    assert talk.refused("session.update", session={"type": "realtime", **other})["code"] == "cannot_update_voice"
    talk.update(audio={"output": {"voice": "marin", "speed": 1.2}})
    talk.until("response.done")
    assert talk.refused("response.create", response=other)["code"] == "cannot_update_voice"


# turns by voice


def test_a_spoken_turn_is_heard_answered_and_finished() -> None:
    talk = listening()
    heard = talk.append(TURN)
    assert types_of(heard) == HEARD + STARTED
    assert heard[0]["audio_start_ms"] == 100
    assert heard[1]["audio_end_ms"] == 1_500
    assert len({event["item_id"] for event in heard[:3]}) == 1
    assert heard[3]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    answer = talk.until("response.done")
    middle, end = answer[: -len(FINISHED)], answer[-len(FINISHED) :]
    assert set(types_of(middle)) == AUDIO_EVENTS
    assert types_of(end) == FINISHED
    assert end[-1]["response"]["status"] == "completed"
    assert talk.floor() is Floor.LISTENING


def test_the_first_audio_comes_as_soon_as_the_settings_say() -> None:
    talk = listening(EngineSettings(first_audio_ms=25))
    talk.append(TURN)
    assert talk.advance(0.024) == []
    assert set(types_of(talk.advance(0.001))) == AUDIO_EVENTS


@pytest.mark.parametrize("pace", [1.0, 4.0])
def test_audio_leaves_at_the_pace_of_the_settings(pace: float) -> None:
    talk = Talk(EngineSettings(pace=pace))
    talk.send("response.create")
    start = talk.now
    talk.until("response.done")
    item = list(talk.conversation.items)[-1]
    assert talk.now - start == pytest.approx(item.parts[0].audio_ms / 1000 / pace, rel=0.1)


def test_a_turn_without_an_automatic_response_waits_for_the_client() -> None:
    talk = listening(create_response=False)
    assert types_of(talk.append(TURN)) == HEARD
    assert types_of(talk.respond())[-1] == "response.done"


def test_speech_interrupts_a_response() -> None:
    talk = listening()
    talk.append(TURN)
    talk.advance(0.2)
    events = talk.append(noise(100))
    assert types_of(events) == ["input_audio_buffer.speech_started", *FINISHED]
    response = events[-1]["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert response["output"][0]["status"] == "incomplete"
    assert talk.floor() is Floor.HEARING


def test_without_interruption_the_response_runs_on_and_the_new_turn_says_that_it_had_to_wait() -> None:
    talk = listening(interrupt_response=False)
    talk.append(TURN)
    talk.advance(0.1)
    events = talk.append(noise(100) + silence(500))
    assert types_of(events) == [*HEARD, "error"]
    assert events[-1]["error"]["code"] == "conversation_already_has_active_response"
    assert one(talk.until("response.done"), "response.done")["response"]["status"] == "completed"


def test_a_response_may_begin_while_the_user_speaks() -> None:
    talk = listening()
    talk.append(noise(100))
    talk.send("response.create")
    assert talk.floor() is Floor.OVERLAPPING
    talk.until("response.done")
    assert talk.floor() is Floor.HEARING


def test_two_turns_in_one_append_are_two_turns() -> None:
    events = listening(create_response=False).append(TURN + TURN)
    assert types_of(events) == HEARD * 2
    assert events[5]["audio_start_ms"] == 1_600


@pytest.mark.parametrize(("eagerness", "silence_ms"), [("high", 300), ("auto", 600), ("low", 900)])
def test_eagerness_sets_the_silence_that_ends_a_turn(eagerness: str, silence_ms: int) -> None:
    talk = Talk(detection={"type": "semantic_vad", "eagerness": eagerness})
    talk.append(noise(200))
    stopped = talk.append(silence(1_000))[0]
    assert stopped["type"] == "input_audio_buffer.speech_stopped"
    assert stopped["audio_end_ms"] == 200 + silence_ms


def test_a_commit_while_the_user_speaks_ends_the_turn_under_its_id() -> None:
    talk = listening()
    item_id = one(talk.append(noise(300)), "input_audio_buffer.speech_started")["item_id"]
    assert one(talk.send("input_audio_buffer.commit"), "input_audio_buffer.committed")["item_id"] == item_id
    assert talk.floor() is Floor.LISTENING
    assert talk.append(silence(600)) == []


def test_clearing_while_the_user_speaks_forgets_the_turn() -> None:
    talk = listening()
    talk.append(noise(300))
    assert types_of(talk.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert talk.append(silence(600)) == []
    assert types_of(talk.append(noise(100)))[0] == "input_audio_buffer.speech_started"


def test_switching_turn_detection_off_while_the_user_speaks_keeps_the_audio() -> None:
    talk = listening()
    talk.append(noise(300))
    talk.update(audio={"input": {"turn_detection": None}})
    assert talk.floor() is Floor.LISTENING
    assert one(talk.send("input_audio_buffer.commit"), "conversation.item.done")


def test_a_turn_that_never_ends_is_ended_when_the_buffer_is_full() -> None:
    talk = listening(create_response=False)
    talk.append(noise(200))
    talk.conversation._buffer.append(bytes(MAX_BUFFER_BYTES - 10_000))
    assert types_of(talk.append(silence(500)))[: len(HEARD) - 1] == HEARD[1:]
    assert talk.floor() is Floor.LISTENING


def test_telephone_audio_goes_both_ways() -> None:
    talk = listening()
    telephone = {"type": "audio/pcmu"}
    talk.append(noise(100))
    talk.update(audio={"input": {"format": telephone}, "output": {"format": telephone}})
    assert talk.floor() is Floor.LISTENING
    codec = talk.conversation._buffer.codec
    events = talk.append(codec.encode(noise(300, rate=8_000) + silence(500, 8_000)))
    assert types_of(events) == HEARD + STARTED
    assert events[0]["audio_start_ms"] == 100
    assert events[len(HEARD)]["response"]["audio"]["output"]["format"] == telephone
    talk.until("response.done")
    part = list(talk.conversation.items)[-1].parts[0]
    assert len(part.audio) == pytest.approx(part.audio_ms * 8, rel=0.01)
