"""The token bucket: never more than it may give, and never a wait in vain."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_fanout.rate import Bucket

rates = st.floats(0.001, 10_000)
bursts = st.floats(1, 100)
gaps = st.lists(st.floats(0, 10) | st.floats(0, 1e-3), min_size=1, max_size=200)
starts = st.sampled_from([0.0, 12.5, 1e6, 1_764_108_300.25])


def test_a_burst_goes_at_once_and_then_one_by_one() -> None:
    bucket = Bucket(2.0, 3)
    assert [bucket.take(10.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(10.0) == pytest.approx(0.5)
    assert bucket.take(10.25) == pytest.approx(0.25)
    assert bucket.take(10.5) == 0.0
    assert bucket.take(10.5) == pytest.approx(0.5)


def test_to_be_told_to_wait_costs_nothing() -> None:
    bucket = Bucket(1.0)
    assert bucket.take(0.0) == 0.0
    for _ in range(100):
        assert bucket.take(0.5) == pytest.approx(0.5)
    assert bucket.take(1.0) == 0.0


def test_an_idle_bucket_holds_no_more_than_its_burst() -> None:
    bucket = Bucket(1.0, 2)
    assert [bucket.take(1e6) for _ in range(3)] == [0.0, 0.0, pytest.approx(1.0)]


@pytest.mark.parametrize("burst", [0.0, 0.5, -1.0, math.nan])
def test_a_burst_is_at_least_one(burst: float) -> None:
    bucket = Bucket(0.5, burst)
    assert bucket.take(0.0) == 0.0
    assert bucket.take(0.0) == pytest.approx(2.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_is_a_number_above_zero(rate: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Bucket(rate)


def test_a_clock_that_runs_back_fills_nothing() -> None:
    bucket = Bucket(1.0)
    assert bucket.take(100.0) == 0.0
    assert bucket.take(50.0) == pytest.approx(1.0)


@given(rates, bursts, starts, gaps)
def test_no_stretch_of_time_sees_more_than_its_rate_and_one_burst(
    rate: float, burst: float, start: float, steps: list[float]
) -> None:
    bucket = Bucket(rate, burst)
    now, taken = start, []
    for step in steps:
        now += step
        if bucket.take(now) == 0.0:
            taken.append(now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= rate * (taken[last] - taken[first]) + burst + 1e-6


@given(rates, bursts, starts, gaps)
def test_who_waits_as_long_as_told_may_go(rate: float, burst: float, start: float, steps: list[float]) -> None:
    bucket = Bucket(rate, burst)
    now = start
    for step in steps:
        now += step
        wait = bucket.take(now)
        if wait > 0.0:
            assert wait <= 1.0 / rate + 1e-5
            now += wait
            assert bucket.take(now) == 0.0


@given(rates, starts, st.integers(2, 200))
def test_who_always_waits_as_told_reaches_the_rate(rate: float, start: float, count: int) -> None:
    bucket = Bucket(rate)
    now = start
    for _ in range(count):
        while (wait := bucket.take(now)) > 0.0:
            now += wait
    assert now - start == pytest.approx((count - 1) / rate, rel=1e-6, abs=count * 1e-6)
