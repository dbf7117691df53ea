"""The schedule: what is tried again, when, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_fanout.outcome import MAX_RETRY_AFTER, Outcome, OutcomeKind
from voxgate_fanout.schedule import DELAYS, DISABLE_AFTER, JITTER, failing_too_long, next_attempt

NOW = 1_764_108_300.0
chances = st.floats(0, 1, exclude_max=True)
moments = st.floats(0, 4e9)
pauses = st.none() | st.floats(0, MAX_RETRY_AFTER)


def retry(pause: float | None = None) -> Outcome:
    return Outcome(OutcomeKind.RETRY, 503, "HTTP 503", pause, 0.1)


def after(attempt: int, *, random: float = 0.0, pause: float | None = None) -> float:
    moment = next_attempt(retry(pause), attempt, now=NOW, random=random)
    assert moment is not None
    return moment - NOW


def test_the_delays_are_those_of_standard_webhooks() -> None:
    minute, hour = 60, 3600
    assert DELAYS == (0, 5, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour)


def test_each_attempt_waits_for_its_own_delay() -> None:
    assert [after(attempt) for attempt in range(1, len(DELAYS))] == list(DELAYS[1:])


def test_nothing_follows_the_last_attempt_whatever_the_target_asks_for() -> None:
    for attempt in (len(DELAYS), len(DELAYS) + 1, 1000):
        for pause in (None, 60.0):
            assert next_attempt(retry(pause), attempt, now=NOW, random=0.5) is None


@pytest.mark.parametrize("kind", [OutcomeKind.DELIVERED, OutcomeKind.GONE])
def test_nothing_follows_a_delivery_or_a_target_that_is_gone(kind: OutcomeKind) -> None:
    assert next_attempt(Outcome(kind, 200, "", None, 0.1), 1, now=NOW, random=0.5) is None


def test_an_attempt_that_never_was_has_no_next() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        next_attempt(retry(), 0, now=NOW, random=0.5)


def test_a_longer_pause_is_kept_and_a_shorter_one_changes_nothing() -> None:
    assert after(1, pause=100.0) == 100.0
    assert after(3, pause=100.0) == 1800.0
    assert after(1, pause=0.0) == 5.0


@given(st.integers(1, len(DELAYS) - 1), chances, moments, pauses)
def test_chance_adds_a_part_of_the_delay_and_takes_nothing_away(
    attempt: int, random: float, now: float, pause: float | None
) -> None:
    moment = next_attempt(retry(pause), attempt, now=now, random=random)
    assert moment is not None
    least = max(DELAYS[attempt], pause or 0.0)
    most = max(DELAYS[attempt] * (1 + JITTER), pause or 0.0)
    assert now + least <= moment <= now + most


@given(st.integers(1, len(DELAYS) - 2), chances, chances, pauses)
def test_each_wait_is_at_least_as_long_as_the_one_before(
    attempt: int, first: float, second: float, pause: float | None
) -> None:
    assert after(attempt, random=first, pause=pause) <= after(attempt + 1, random=second, pause=pause)


@given(st.integers(1, len(DELAYS) - 1), chances, chances)
def test_more_chance_is_never_earlier(attempt: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert after(attempt, random=low) <= after(attempt, random=high)


def test_a_target_is_given_up_after_five_days_without_a_success() -> None:
    assert DISABLE_AFTER == 5 * 24 * 3600
    assert not failing_too_long(None, NOW)
    assert not failing_too_long(NOW - DISABLE_AFTER + 1, NOW)
    assert failing_too_long(NOW - DISABLE_AFTER, NOW)


def test_one_event_is_given_up_long_before_its_target_is() -> None:
    assert sum(DELAYS) * (1 + JITTER) < DISABLE_AFTER
