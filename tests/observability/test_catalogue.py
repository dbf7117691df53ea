import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_observability.catalogue import FIRST_AUDIO_BOUNDS, METRICS, RELAY_BOUNDS, Histogram, Kind


def test_names_are_unique_and_follow_the_conventions() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"voxgate_[a-z_]+", metric.name), metric.name
        ending = {Kind.COUNTER: "_total", Kind.HISTOGRAM: "_seconds", Kind.GAUGE: ""}[metric.kind]
        assert metric.name.endswith(ending), metric.name
        assert metric.help.endswith("."), metric.name
        assert len(metric.labels) <= 1, f"{metric.name}: labels multiply"


@pytest.mark.parametrize("bounds", [RELAY_BOUNDS, FIRST_AUDIO_BOUNDS])
def test_bounds_rise(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted(set(bounds))


@given(st.lists(st.floats(0, 20)))
def test_buckets_are_cumulative_and_end_with_all(values: list[float]) -> None:
    histogram = Histogram(FIRST_AUDIO_BOUNDS)
    for value in values:
        histogram.observe(value)
    buckets = histogram.cumulative()
    assert buckets[-1] == ("+Inf", float(len(values)))
    expected = [(str(limit), float(sum(value <= limit for value in values))) for limit in FIRST_AUDIO_BOUNDS]
    assert buckets[:-1] == expected
    assert histogram.total == pytest.approx(sum(values))
