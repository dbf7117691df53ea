"""Admission: each caller has its own events per second, and what is remembered of callers is bounded."""

import pytest

from voxgate_core import ManualClock, VoxgateError
from voxgate_fanout.admission import BURST_SECONDS, MAX_CALLERS, Admission


def spends(admission: Admission, caller: str, most: int = 1000) -> int:
    """How many events in a row the caller may post."""
    for count in range(most):
        try:
            admission.spend(caller)
        except VoxgateError:
            return count
    return most


def wait_of(admission: Admission, caller: str) -> float:
    with pytest.raises(VoxgateError) as caught:
        admission.spend(caller)
    assert (caught.value.code, caught.value.kind.status) == ("quota_exceeded", 429)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


def test_a_caller_may_save_up_a_burst_and_then_has_its_rate() -> None:
    clock = ManualClock()
    admission = Admission(10, clock)
    assert spends(admission, "a") == 10 * BURST_SECONDS
    clock.advance(0.5)
    assert spends(admission, "a") == 5
    clock.advance(3600)
    assert spends(admission, "a") == 10 * BURST_SECONDS


def test_callers_do_not_take_from_each_other() -> None:
    admission = Admission(1, ManualClock())
    assert [spends(admission, caller) for caller in "abab"] == [2, 2, 0, 0]


@pytest.mark.parametrize("rate", [0.01, 1, 7, 1000])
def test_who_waits_as_long_as_told_is_let_in_and_not_sooner(rate: float) -> None:
    clock = ManualClock()
    admission = Admission(rate, clock)
    assert spends(admission, "a", 3000) == max(1, int(rate * BURST_SECONDS))
    wait = wait_of(admission, "a")
    clock.advance(wait / 2)
    assert wait_of(admission, "a") == pytest.approx(wait / 2, rel=1e-6)
    clock.advance(wait / 2 + 1e-6)
    admission.spend("a")


def test_a_refusal_costs_nothing() -> None:
    clock = ManualClock()
    admission = Admission(1, clock)
    spends(admission, "a")
    for _ in range(1000):
        wait_of(admission, "a")
    clock.advance(1.001)
    assert spends(admission, "a") == 1


@pytest.mark.parametrize("rate", [0, -1])
def test_without_a_rate_everything_passes_and_nobody_is_remembered(rate: float) -> None:
    admission = Admission(rate, ManualClock())
    assert spends(admission, "a", 10_000) == 10_000
    assert admission.callers == 0


def test_the_caller_that_was_idle_for_longest_is_forgotten() -> None:
    admission = Admission(1, ManualClock())
    for caller in ("busy", "idle"):
        assert spends(admission, caller) == 2
    for number in range(MAX_CALLERS - 2):
        admission.spend(f"caller-{number}")
    assert spends(admission, "busy") == 0
    admission.spend("one more")
    assert admission.callers == MAX_CALLERS
    assert spends(admission, "busy") == 0
    assert spends(admission, "idle") == 2
    assert admission.callers == MAX_CALLERS


def test_a_wall_clock_that_is_set_changes_nothing() -> None:
    clock = ManualClock()
    admission = Admission(1, clock)
    spends(admission, "a")
    clock.set_now(0)
    assert spends(admission, "a") == 0
    clock.set_now(9e9)
    assert spends(admission, "a") == 0
