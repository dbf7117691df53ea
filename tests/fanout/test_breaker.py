"""The circuit breaker, by its table and against a model that remembers every report."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voxgate_fanout.breaker import (
    FAILURES,
    MAX_OPEN_SECONDS,
    OPEN_SECONDS,
    PROBE_SECONDS,
    TRANSITIONS,
    Breaker,
    BreakerState,
    BreakerTrigger,
)

ROUNDING = 1e-6
"""Seconds that adding to a time, and subtracting again, may lose."""

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    assert [breaker.record(False, now) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    return breaker


def half_opened() -> Breaker:
    breaker = opened()
    assert breaker.allows(OPEN_SECONDS)
    return breaker


def test_every_state_is_reached_and_none_is_final() -> None:
    assert set(TRANSITIONS.values()) == set(BreakerState) == {state for state, _ in TRANSITIONS}
    assert {trigger for _, trigger in TRANSITIONS} == set(BreakerTrigger)


def test_a_breaker_opens_only_from_failures_and_closes_only_by_success() -> None:
    into = {state: {trigger for (_, trigger), after in TRANSITIONS.items() if after is state} for state in BreakerState}
    assert into == {
        CLOSED: {BreakerTrigger.SUCCEEDED},
        OPEN: {BreakerTrigger.TRIPPED, BreakerTrigger.FAILED},
        HALF_OPEN: {BreakerTrigger.RESTED},
    }


def test_failures_in_a_row_open_it_and_a_success_between_does_not_let_them() -> None:
    breaker = Breaker()
    for _ in range(10):
        for _ in range(FAILURES - 1):
            assert not breaker.record(False, 0.0)
        assert not breaker.record(True, 0.0)
        assert breaker.state is CLOSED
    assert opened().state is OPEN


def test_nothing_passes_an_open_breaker_until_it_has_rested() -> None:
    breaker = opened(now=100.0)
    assert breaker.retry_at == 100.0 + OPEN_SECONDS
    assert not breaker.allows(100.0)
    assert not breaker.allows(breaker.retry_at - 0.001)
    assert breaker.state is OPEN
    assert breaker.allows(breaker.retry_at)
    assert breaker.state is HALF_OPEN


def test_one_probe_passes_and_no_other_beside_it() -> None:
    breaker = half_opened()
    assert [breaker.allows(OPEN_SECONDS + second) for second in range(5)] == [False] * 5


def test_a_probe_that_succeeds_closes_it_and_everything_starts_anew() -> None:
    breaker = half_opened()
    assert breaker.record(True, 6.0)
    assert breaker.state is CLOSED
    assert all(breaker.allows(6.0) for _ in range(5))
    assert [breaker.record(False, 7.0) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    assert breaker.retry_at == 7.0 + OPEN_SECONDS


def test_each_probe_that_fails_doubles_the_rest_up_to_its_bound() -> None:
    breaker = opened()
    now, rests = 0.0, []
    for _ in range(9):
        rests.append(breaker.retry_at - now)
        now = breaker.retry_at
        assert breaker.allows(now)
        assert breaker.record(False, now)
    assert rests == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert (OPEN_SECONDS, MAX_OPEN_SECONDS) == (5, 300)


def test_a_probe_that_never_reports_is_replaced() -> None:
    breaker = half_opened()
    assert breaker.retry_at == OPEN_SECONDS + PROBE_SECONDS
    assert not breaker.allows(breaker.retry_at - 0.001)
    assert breaker.allows(breaker.retry_at)
    assert not breaker.allows(OPEN_SECONDS + PROBE_SECONDS)
    assert breaker.state is HALF_OPEN


def test_a_failure_that_began_before_does_not_lengthen_the_rest() -> None:
    breaker = opened()
    for _ in range(100):
        assert not breaker.record(False, 4.0)
    assert breaker.retry_at == OPEN_SECONDS


def test_a_success_that_began_before_closes_it_at_once() -> None:
    breaker = opened()
    assert breaker.record(True, 1.0)
    assert breaker.state is CLOSED
    assert breaker.allows(1.0)


@pytest.mark.parametrize("ok", [True, False])
def test_the_first_report_ends_the_probe_and_the_probes_own_may_still_change_it(ok: bool) -> None:
    breaker = half_opened()
    assert breaker.record(False, 6.0)
    assert breaker.state is OPEN
    assert breaker.record(ok, 7.0) is ok
    assert breaker.state is (CLOSED if ok else OPEN)


class BreakerMachine(RuleBasedStateMachine):
    """Any mix of asking, reporting and waiting, reports of lost and late deliveries included."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = 0.0
        self.row = 0
        self.passed: list[float] = []
        self.opened_at: float | None = None

    @rule(seconds=st.sampled_from([0.0, 1.0, OPEN_SECONDS, PROBE_SECONDS, MAX_OPEN_SECONDS]) | st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_delivery_asks(self) -> None:
        before = self.breaker.state
        allowed = self.breaker.allows(self.now)
        assert allowed or before is not CLOSED
        if before is CLOSED:
            assert self.breaker.state is CLOSED
        elif allowed:
            assert self.breaker.state is HALF_OPEN
            assert not self.breaker.allows(self.now)
            assert self.passed == [] or self.now - self.passed[-1] >= min(OPEN_SECONDS, PROBE_SECONDS) - ROUNDING
            assert self.opened_at is not None
            assert self.now - self.opened_at >= OPEN_SECONDS - ROUNDING
            self.passed.append(self.now)
        else:
            assert self.breaker.state is before
            assert self.breaker.retry_at > self.now

    @rule()
    def one_succeeds(self) -> None:
        before = self.breaker.state
        assert self.breaker.record(True, self.now) is (before is not CLOSED)
        assert self.breaker.state is CLOSED
        self.row, self.passed, self.opened_at = 0, [], None

    @rule(times=st.integers(1, FAILURES + 1))
    def some_fail(self, times: int) -> None:
        for _ in range(times):
            before = self.breaker.state
            self.row += 1
            opens = before is HALF_OPEN or (before is CLOSED and self.row >= FAILURES)
            assert self.breaker.record(False, self.now) is opens
            assert self.breaker.state is (OPEN if opens else before)
            if opens:
                self.opened_at = self.now
                rest = self.breaker.retry_at - self.now
                assert OPEN_SECONDS - ROUNDING <= rest <= MAX_OPEN_SECONDS + ROUNDING

    @invariant()
    def it_is_never_locked_for_ever(self) -> None:
        longest = max(MAX_OPEN_SECONDS, PROBE_SECONDS)
        assert self.breaker.state is CLOSED or self.breaker.retry_at <= self.now + longest + ROUNDING


BreakerMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_a_breaker_keeps_its_rules_in_any_order_of_events = BreakerMachine.TestCase
