"""What lanes are called, and whose they are."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fanout.bench import a_target, an_event
from voxgate_fanout.lanes import EVENTS, PARTITIONS, lane_of, lanes_of, ordered_lane, target_of

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

MAX_TOKEN = 128
"""Characters that the queue takes for the name of a lane."""


@unhurried
@given(st.text("abcXYZ019_-", min_size=1, max_size=64))
def test_a_lane_says_whose_it_is_and_may_be_the_name_of_a_lane(target_id: str) -> None:
    target = a_target()
    lanes = [lane.replace(target.id, target_id) for lane in lanes_of(target)]
    assert len(set(lanes)) == PARTITIONS + 1
    for lane in lanes:
        assert target_of(lane) == target_id
        assert len(lane) <= MAX_TOKEN
        assert re.fullmatch(r"[A-Za-z0-9_-]+", lane)
    assert lane_of(target_id) == lanes[0]


@pytest.mark.parametrize("lane", [EVENTS, "", "t-", "o-", "o-x", "x-tgt_1", "T-tgt_1"])
def test_other_lanes_are_nobodys(lane: str) -> None:
    assert target_of(lane) is None


def test_events_with_one_key_share_a_lane_and_every_lane_is_one_of_the_target() -> None:
    target = a_target(order_by="subject")
    lanes = {subject: ordered_lane(target, an_event(1, subject=subject)) for subject in map(str, range(200))}
    assert set(lanes.values()) == set(lanes_of(target)[1:])
    assert all(ordered_lane(target, an_event(2, subject=subject)) == lane for subject, lane in lanes.items())


def test_events_without_the_key_share_one_lane() -> None:
    target = a_target(order_by="/sessionId")
    assert ordered_lane(target, an_event(1)) == ordered_lane(target, an_event(2))
