import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from voxgate_observability.catalogue import FIRST_AUDIO_BOUNDS, METRICS, Histogram, Kind
from voxgate_observability.exposition import Exposition, Reading

PROMTOOL = shutil.which("promtool")


def everything() -> list[Reading]:
    """A reading of each metric of the catalogue."""
    readings = []
    for metric in METRICS:
        value: float | Histogram = 3.0
        if metric.kind is Kind.HISTOGRAM:
            value = Histogram(FIRST_AUDIO_BOUNDS)
            value.observe(0.4)
        readings.append(Reading(metric.name, value, tuple("a" for _ in metric.labels)))
    return readings


def test_every_metric_is_scraped_with_its_help_and_type() -> None:
    text = Exposition([everything]).text().decode()
    for metric in METRICS:
        assert f"# HELP {metric.name} " in text
        assert f"# TYPE {metric.name} {metric.kind}" in text
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {metric.name.removesuffix("_total") for metric in METRICS} <= families


def test_figures_are_read_when_somebody_scrapes_and_not_before() -> None:
    reads: list[int] = []

    def source() -> list[Reading]:
        reads.append(1)
        return [Reading("voxgate_turns_total", len(reads))]

    exposition = Exposition([source])
    assert reads == []
    assert b"voxgate_turns_total 1.0" in exposition.text()
    assert b"voxgate_turns_total 2.0" in exposition.text()


def test_a_histogram_has_its_buckets_sum_and_count() -> None:
    text = Exposition([everything]).text().decode()
    assert 'voxgate_first_audio_seconds_bucket{le="0.3"} 0.0' in text
    assert 'voxgate_first_audio_seconds_bucket{le="0.5"} 1.0' in text
    assert "voxgate_first_audio_seconds_count 1.0" in text
    assert "voxgate_first_audio_seconds_sum 0.4" in text


def test_a_worker_labels_every_figure() -> None:
    text = Exposition([everything], worker="2").text().decode()
    ours = [line for line in text.splitlines() if line.startswith("voxgate_")]
    assert ours
    assert all('worker="2"' in line for line in ours)


def test_a_reading_nobody_knows_is_a_fault_of_ours() -> None:
    with pytest.raises(KeyError):
        Exposition([lambda: [Reading("voxgate_unheard_of", 1)]]).text()


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")
@pytest.mark.parametrize("worker", ["", "1"])
def test_promtool_finds_nothing_to_say(worker: str) -> None:
    assert PROMTOOL is not None
    text = Exposition([everything], worker=worker).text()
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
