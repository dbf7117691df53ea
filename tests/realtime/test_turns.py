from hypothesis import given
from hypothesis import strategies as st

from voxgate_realtime.turns import REMEMBERED, Turns


def test_responses_are_turns_in_the_order_they_begin() -> None:
    turns = Turns()
    for number in (1, 2, 3):
        turns.begin(f"resp_{number}")
        assert turns.of_response(f"resp_{number}") == number
        assert turns.complete(f"resp_{number}") == (number, None)
    assert turns.completed == 3


def test_speech_belongs_to_the_response_after_it_however_late_its_words_come() -> None:
    turns = Turns()
    turns.commit("first")
    turns.begin("resp_1")
    turns.commit("second")  # while the model still answers
    turns.complete("resp_1")
    turns.begin("resp_2")
    turns.complete("resp_2")
    assert (turns.of_item("first"), turns.of_item("second")) == (1, 2)


def test_speech_that_was_never_committed_belongs_to_the_present() -> None:
    turns = Turns()
    assert turns.of_item("typed") == 1
    turns.begin("resp_1")
    assert turns.of_item("typed") == turns.of_response("unknown") == turns.of_response(None) == 1
    turns.complete("resp_1")
    assert turns.of_item("typed") == 2


def test_a_response_that_was_never_seen_to_begin_is_a_turn_all_the_same() -> None:
    turns = Turns()
    assert turns.complete("resp_9") == (1, None)
    assert turns.complete("resp_10") == (2, None)


def test_a_wait_runs_from_the_last_word_to_the_first_audio_of_the_answer() -> None:
    turns = Turns()
    turns.stop_speech(10.0)
    turns.hear_audio(10.1)  # what is left of an earlier answer
    turns.begin("resp_1")
    awaited = [turns.awaits_audio]
    turns.hear_audio(10.5)
    awaited.append(turns.awaits_audio)
    assert awaited == [True, False]
    turns.hear_audio(11.0)
    assert turns.complete("resp_1") == (1, 0.5)


def test_the_last_end_of_speech_counts() -> None:
    turns = Turns()
    turns.stop_speech(10.0)
    turns.stop_speech(12.0)
    turns.begin("resp_1")
    turns.hear_audio(12.25)
    assert turns.complete("resp_1") == (1, 0.25)


def test_a_response_without_audio_has_no_wait_and_neither_has_the_one_it_leads_to() -> None:
    turns = Turns()
    turns.stop_speech(10.0)
    turns.begin("calls a tool")
    assert turns.complete("calls a tool") == (1, None)
    turns.begin("uses its answer")
    turns.hear_audio(20.0)
    assert turns.complete("uses its answer") == (2, None)


def test_speech_during_an_answer_is_measured_by_the_next_one() -> None:
    turns = Turns()
    turns.begin("resp_1")
    turns.stop_speech(10.0)
    turns.hear_audio(10.1)
    assert turns.complete("resp_1") == (1, None)
    turns.begin("resp_2")
    turns.hear_audio(11.0)
    assert turns.complete("resp_2") == (2, 1.0)


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    turns = Turns()
    for number in range(REMEMBERED + 1):
        turns.commit(f"item_{number}")
        turns.begin(f"resp_{number}")
    assert turns.of_item("item_0") == turns.of_response("resp_0") == REMEMBERED + 1
    assert turns.of_item("item_1") == turns.of_response("resp_1") == 2


@given(st.lists(st.tuples(st.sampled_from(["begin", "complete", "commit", "stop", "audio"]), st.integers(0, 3))))
def test_no_order_of_events_repeats_a_turn_or_makes_a_wait_negative(steps: list[tuple[str, int]]) -> None:
    turns = Turns()
    begun: set[str] = set()
    seen: list[int] = []
    for now, (step, number) in enumerate(steps):
        name = f"r{number}"
        if step == "begin" and name not in begun:
            begun.add(name)
            turns.begin(name)
        elif step == "complete":
            begun.discard(name)
            turn, waited = turns.complete(name)
            assert waited is None or 0 <= waited <= now
            seen.append(turn)
        elif step == "commit":
            turns.commit(name)
        elif step == "stop":
            turns.stop_speech(now)
        elif step == "audio":
            turns.hear_audio(now)
        assert turns.of_item(name) >= 1
    assert len(seen) == len(set(seen)) == turns.completed
