"""What a connection waits for, event by event."""

from hypothesis import given
from hypothesis import strategies as st

from voxgate_responder.connection import ConnectionState, Wait


def head(state: ConnectionState, size: int = 10) -> None:
    state.read_begins()
    state.head_began()
    state.head_grew(size)
    state.head_ended()


def waiting(state: ConnectionState) -> Wait:
    return state.waits_for


def too_large(state: ConnectionState) -> bool:
    return state.head_too_large


def test_a_request_is_waited_for_answered_and_followed_by_idleness() -> None:
    state = ConnectionState(100)
    assert (state.waits_for, state.heard) == (Wait.HEAD, False)
    head(state)
    assert waiting(state) is Wait.ANSWER
    state.message_ended()
    assert waiting(state) is Wait.ANSWER
    state.answered()
    assert waiting(state) is Wait.IDLE
    state.read_begins()
    assert waiting(state) is Wait.HEAD


def test_an_answer_before_the_body_s_end_leaves_the_body_to_wait_for() -> None:
    state = ConnectionState(100)
    head(state)
    state.answered()
    assert waiting(state) is Wait.BODY
    state.read_begins()
    assert waiting(state) is Wait.BODY
    state.message_ended()
    assert waiting(state) is Wait.IDLE


def test_a_half_head_behind_a_request_is_waited_for_after_the_answer_only() -> None:
    state = ConnectionState(100)
    head(state)
    state.message_ended()
    state.head_began()
    assert waiting(state) is Wait.ANSWER
    state.answered()
    assert waiting(state) is Wait.HEAD


def test_a_head_counts_whether_the_parser_reports_it_or_collects_it() -> None:
    state = ConnectionState(100)
    state.read_begins()
    state.head_began()
    state.head_grew(60)
    state.read_ended(100)
    assert not too_large(state)
    state.read_begins()
    state.read_ended(1)
    assert too_large(state)


def test_bytes_of_an_earlier_body_do_not_count_against_the_next_head() -> None:
    state = ConnectionState(100)
    head(state)
    state.read_begins()
    state.body_grew()
    state.message_ended()
    state.head_began()
    state.read_ended(50_000)
    assert not too_large(state)


def test_trailers_and_chunk_extensions_count_and_body_bytes_do_not() -> None:
    state = ConnectionState(100)
    head(state)
    for _ in range(50):
        state.read_begins()
        state.body_grew()
        state.read_ended(1000)
    assert not too_large(state)
    state.head_grew(91)
    assert too_large(state)
    other = ConnectionState(100)
    head(other)
    other.read_begins()
    other.read_ended(91)
    assert other.head_too_large


@given(st.lists(st.integers(1, 50), max_size=20))
def test_a_head_over_the_bound_never_goes_unnoticed(reads: list[int]) -> None:
    state = ConnectionState(200)
    state.head_began()
    for size in reads:
        state.read_begins()
        state.read_ended(size)
    assert too_large(state) is (sum(reads) > 200)
