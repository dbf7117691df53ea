"""The load turns on and off at its marks, and never for ever."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxgate_fanout.load import MAX_BYTES, MAX_WAITING, PER_TARGET, Load

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Noted:
    def __init__(self) -> None:
        self.changes = 0
        self.load = Load(self._changed)

    def may_open(self) -> bool:
        return self.load.may_open

    def may_take(self) -> bool:
        return self.load.may_take

    def _changed(self) -> None:
        self.changes += 1


def test_one_target_has_its_share_and_gives_half_of_it_back_before_there_is_more() -> None:
    noted = Noted()
    for waiting in range(PER_TARGET):
        assert noted.may_open()
        noted.load.queued(waiting, waiting + 1)
    assert not noted.may_open()
    for waiting in range(PER_TARGET, PER_TARGET // 2, -1):
        assert not noted.may_open()
        noted.load.queued(waiting, waiting - 1)
    assert not noted.may_open()
    noted.load.queued(PER_TARGET // 2, PER_TARGET // 2 - 1)
    assert noted.may_open()
    assert noted.changes == 2


def test_many_targets_have_more_together_up_to_the_bound_of_all() -> None:
    noted = Noted()
    many = MAX_WAITING // PER_TARGET + 1
    for _ in range(many):
        assert noted.may_open()
        noted.load.queued(0, PER_TARGET - 1)
    noted.load.queued(PER_TARGET - 1, PER_TARGET + 20)
    assert not noted.may_open()


def test_a_queue_that_is_spilled_at_once_makes_room_at_once() -> None:
    noted = Noted()
    noted.load.queued(0, 500)
    assert not noted.may_open()
    noted.load.queued(500, 0)
    assert noted.may_open()


def test_bytes_in_hand_stop_the_taking_but_not_the_opening_which_frees_them() -> None:
    noted = Noted()
    noted.load.took(MAX_BYTES - 1)
    assert noted.may_take()
    noted.load.took(1)
    assert not noted.may_take()
    assert noted.may_open()
    noted.load.took(-MAX_BYTES // 2)
    assert not noted.may_take()
    noted.load.took(-1)
    assert noted.may_take()
    assert noted.changes == 2


def test_nothing_is_taken_while_nothing_may_be_opened() -> None:
    noted = Noted()
    noted.load.queued(0, PER_TARGET)
    assert not noted.may_take()


@unhurried
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 300)), max_size=60),
    st.lists(st.integers(1, MAX_BYTES), max_size=5),
)
def test_there_is_always_room_again_once_everything_is_gone(queues: list[tuple[int, int]], sizes: list[int]) -> None:
    noted, waiting = Noted(), [0] * 5
    seen = (noted.may_open(), noted.may_take())
    for target, after in queues:
        changes = noted.changes
        noted.load.queued(waiting[target], after)
        waiting[target] = after
        if (noted.may_open(), noted.may_take()) != seen:
            assert noted.changes == changes + 1
        seen = (noted.may_open(), noted.may_take())
    for size in sizes:
        noted.load.took(size)
    for before in waiting:
        noted.load.queued(before, 0)
    for size in sizes:
        noted.load.took(-size)
    assert noted.may_open()
    assert noted.may_take()
