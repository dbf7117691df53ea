from hypothesis import given
from hypothesis import strategies as st

from voxgate_observability.uptime.watching import FAILURES, SUCCESSES, State, Watch


def changes_of(looks: list[bool]) -> list[State]:
    watch = Watch()
    return [watch.state for is_up in looks if watch.note(is_up=is_up)]


def test_three_failures_in_a_row_are_down_and_two_successes_up_again() -> None:
    assert changes_of([False] * 2) == []
    assert changes_of([False] * 3) == [State.DOWN]
    assert changes_of([False] * 3 + [True]) == [State.DOWN]
    assert changes_of([False] * 3 + [True] * 2) == [State.DOWN, State.UP]


def test_a_look_of_the_other_kind_begins_anew() -> None:
    assert changes_of([False, False, True, False, False]) == []
    assert changes_of([False] * 3 + [True, False, True]) == [State.DOWN]


@given(st.lists(st.booleans(), max_size=60))
def test_states_alternate_and_each_was_earned(looks: list[bool]) -> None:
    watch = Watch()
    row: list[bool] = []
    for is_up in looks:
        row = [*row, is_up] if row and row[-1] is is_up else [is_up]
        before = watch.state
        if watch.note(is_up=is_up):
            assert watch.state is not before
            assert len(row) >= (SUCCESSES if is_up else FAILURES)
