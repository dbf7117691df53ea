"""Windows against a plain list of moments: exact when small, never too generous when large, whatever clocks say."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.security.rig import NOW
from voxgate_core import VoxgateError
from voxgate_security.windows import MAX_RECORD, MAX_SLOTS, PARTS, Quota, Window

QUARTERS = st.integers(0, 40).map(lambda quarters: quarters / 4)
"""Gaps that floats near an epoch time hold exactly."""


class Record:
    """A record in a store, and what really happened to it."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self.bytes = Window(quota, NOW).record()
        self.admitted: list[float] = []

    def ask(self, when: float, *, ahead: float = 0.0) -> bool:
        """One request at the moment ``when``, judged by a clock that is ``ahead`` of the true one."""
        window = Window.read(self.quota, when + ahead, self.bytes)
        assert 0 < window.reset <= self.quota.seconds
        if not window.remaining:
            return False
        window.hit()
        self.bytes = window.record()
        self.admitted.append(when)
        assert len(self.bytes) <= MAX_RECORD
        return True

    def within(self, seconds: float, when: float) -> int:
        return sum(moment > when - seconds for moment in self.admitted)


def test_an_empty_window_has_room_for_all_and_resets_in_one_window() -> None:
    window = Window(Quota("subject", 3, 60), NOW)
    assert (window.remaining, window.reset) == (3, 60)
    assert Window.read(Quota("subject", 3, 60), NOW, window.record()).remaining == 3


@given(st.integers(1, 5), st.lists(QUARTERS, max_size=40))
def test_a_small_quota_is_exact(hits: int, gaps: list[float]) -> None:
    record, now = Record(Quota("subject", hits, 10)), float(NOW)
    for gap in gaps:
        now += gap
        has_room = record.within(10, now) < hits
        assert record.ask(now) == has_room


@given(st.integers(MAX_SLOTS + 1, 90), st.lists(QUARTERS.map(lambda gap: gap / 16), min_size=70, max_size=300))
def test_a_large_quota_is_never_exceeded_and_frees_a_place_less_than_one_part_late(
    hits: int, gaps: list[float]
) -> None:
    record, now = Record(Quota("subject", hits, 31)), float(NOW)
    for gap in gaps:
        now += gap
        held = record.within(31, now)
        if record.ask(now):
            assert held < hits
        else:
            assert record.within(31 + 31 / PARTS, now) >= hits


@given(
    st.sampled_from([1, 2, 5, MAX_SLOTS, MAX_SLOTS + 1, 80]),
    st.lists(st.tuples(QUARTERS, st.booleans()), max_size=150),
    st.sampled_from([0.25, 3.0, 12.0]),
)
def test_with_clocks_apart_the_quota_holds_over_a_window_that_is_shorter_by_as_much(
    hits: int, asked: list[tuple[float, bool]], apart: float
) -> None:
    record, now = Record(Quota("subject", hits, 60)), float(NOW)
    for gap, fast in asked:
        now += gap / hits
        held = record.within(60 - apart, now)
        if record.ask(now, ahead=apart if fast else 0.0):
            assert held < hits
        else:
            assert record.within(60 + apart + 60 / PARTS, now) >= hits


@pytest.mark.parametrize("apart", [0.0, 5.0])
def test_a_hundred_thousand_an_hour_are_counted_one_by_one_in_a_small_record(apart: float) -> None:
    quota, chance = Quota("subject", 100_000, 3600), random.Random(1)
    record, now = Record(quota), float(NOW)
    for _ in range(20):
        now += chance.uniform(0, 150)
        ahead = chance.choice([0.0, apart])
        window = Window.read(quota, now + ahead, record.bytes)
        for _ in range(5_000):
            window.hit()
        record.bytes = window.record()
        assert len(record.bytes) <= MAX_RECORD
    assert now < NOW + 3600
    assert not record.ask(now)
    assert Window.read(quota, now - apart, record.bytes).remaining == 0
    assert record.ask(NOW + 3600 + 150 + 3600 / PARTS)


def test_many_hits_at_many_moments_take_no_more_slots_than_there_are() -> None:
    quota, chance = Quota("subject", 100_000, 3600), random.Random(2)
    window, now = Window(quota, NOW), float(NOW)
    for _ in range(20_000):
        now += chance.uniform(0, 2)
        window = Window.read(quota, now + chance.choice([0.0, 100.0]), window.record())
        window.hit()
        assert len(window._slots) <= MAX_SLOTS


@given(st.sampled_from([3, 200]), st.lists(QUARTERS, min_size=1, max_size=3), QUARTERS)
def test_a_hit_that_is_given_back_leaves_the_others(hits: int, gaps: list[float], later: float) -> None:
    quota, now = Quota("subject", hits, 31), float(NOW)
    window, moments = Window(quota, now), list[float]()
    for gap in gaps:
        now += gap
        window = Window.read(quota, now, window.record())
        moments.append(window.hit())
    window = Window.read(quota, now + later, window.record())
    for moment in moments:
        before = window.remaining
        still_counts = moment + 31 > now + later
        assert window.give_back(moment) or not still_counts
        assert window.remaining in (before, before + 1)
    assert window.remaining == hits
    assert not window.give_back(moments[0])


def test_a_clock_that_was_far_ahead_makes_nobody_wait_longer_than_a_window() -> None:
    quota = Quota("subject", 1, 60)
    window = Window(quota, NOW + 1e9)
    window.hit()
    seen = Window.read(quota, NOW, window.record())
    assert (seen.remaining, seen.reset) == (0, 60)


@pytest.mark.parametrize("record", [b"", b"\xc1", b"[]", b"\x91\x01", b"\x90\x90"])
def test_a_record_that_cannot_be_read_is_not_taken_for_an_empty_one(record: bytes) -> None:
    with pytest.raises(VoxgateError, match="unavailable"):
        Window.read(Quota("subject", 1, 60), NOW, record)
