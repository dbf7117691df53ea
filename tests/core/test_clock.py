import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import Clock, ManualClock, SystemClock

STEPS = st.lists(st.floats(min_value=0, max_value=1e6))


def test_both_clocks_fit_the_port() -> None:
    clocks: list[Clock] = [SystemClock(), ManualClock()]
    assert all(clock.now() > 0 <= clock.monotonic() for clock in clocks)


def test_the_system_clock_reads_the_machine() -> None:
    before = (time.time(), time.monotonic())
    clock = SystemClock()
    reading = (clock.now(), clock.monotonic())
    after = (time.time(), time.monotonic())
    assert before[0] <= reading[0] <= after[0]
    assert before[1] <= reading[1] <= after[1]


def test_a_manual_clock_stands_still_until_told() -> None:
    clock = ManualClock(now=100.0)
    assert (clock.now(), clock.now(), clock.monotonic()) == (100.0, 100.0, 0.0)


@given(STEPS)
def test_advancing_moves_both_readings_by_the_same_seconds(steps: list[float]) -> None:
    clock = ManualClock(now=0.0)
    for step in steps:
        clock.advance(step)
    assert clock.now() == clock.monotonic() == pytest.approx(sum(steps))


def test_setting_the_wall_clock_leaves_the_monotonic_reading() -> None:
    clock = ManualClock(now=1_000.0)
    clock.advance(30)
    clock.set_now(500.0)
    assert (clock.now(), clock.monotonic()) == (500.0, 30.0)
    clock.advance(1)
    assert (clock.now(), clock.monotonic()) == (501.0, 31.0)


@pytest.mark.parametrize("step", [-1, -0.001, float("-inf")])
def test_a_manual_clock_refuses_to_advance_backwards(step: float) -> None:
    clock = ManualClock(now=5.0)
    with pytest.raises(ValueError, match="set_now"):
        clock.advance(step)
    assert (clock.now(), clock.monotonic()) == (5.0, 0.0)
