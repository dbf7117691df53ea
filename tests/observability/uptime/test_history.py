from pathlib import Path

from voxgate_observability.uptime.history import KEPT_SECONDS, History, Outage
from voxgate_observability.uptime.verdict import Verdict
from voxgate_observability.uptime.watching import State

URL = "https://voice.example/api/health"
GOOD, BAD = Verdict((), 0.1), Verdict(("status 503, not 200",), 0.2)


def test_a_target_is_summed_up(tmp_path: Path) -> None:
    history = History(tmp_path / "more" / "uptime.sqlite3")
    for at in range(8):
        history.note(URL, float(at), Verdict((), at / 10), changed_to=None)
    history.note(URL, 8.0, BAD, changed_to=State.DOWN)
    history.note(URL, 9.0, GOOD, changed_to=State.UP)
    (summary,) = history.summaries(0.0)
    assert (summary.url, summary.looks, summary.availability) == (URL, 10, 0.9)
    assert (summary.p50, summary.p95) == (0.3, 0.7)
    assert summary.outages == (Outage(8.0, 9.0, "status 503, not 200"),)


def test_an_outage_that_lasts_has_no_end_and_the_state_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "uptime.sqlite3"
    assert History(path).state(URL) is State.UP
    History(path).note(URL, 1.0, BAD, changed_to=State.DOWN)
    again = History(path)
    assert again.state(URL) is State.DOWN
    assert again.summaries(0.0)[0].outages == (Outage(1.0, None, "status 503, not 200"),)


def test_what_is_too_old_is_forgotten(tmp_path: Path) -> None:
    history = History(tmp_path / "uptime.sqlite3")
    history.note(URL, 0.0, BAD, changed_to=State.DOWN)
    history.note(URL, 0.5, GOOD, changed_to=State.UP)
    history.note(URL, KEPT_SECONDS + 1, GOOD, changed_to=None)
    (summary,) = history.summaries(0.0)
    assert (summary.looks, summary.outages) == (1, ())


def test_an_outage_of_a_hundred_days_is_still_one(tmp_path: Path) -> None:
    history = History(tmp_path / "uptime.sqlite3")
    history.note("https://b.example/", 0.0, BAD, changed_to=State.DOWN)
    history.note(URL, 0.0, GOOD, changed_to=State.UP)
    history.note(URL, 1.0, BAD, changed_to=State.DOWN)
    history.note(URL, KEPT_SECONDS + 10.0, BAD, changed_to=None)
    assert history.state(URL) is history.state("https://b.example/") is State.DOWN
    (summary,) = history.summaries(KEPT_SECONDS)
    assert summary.outages == (Outage(1.0, None, "status 503, not 200"),)


def test_targets_stand_apart_and_only_those_seen_lately_are_told(tmp_path: Path) -> None:
    history = History(tmp_path / "uptime.sqlite3")
    history.note("https://a.example/", 1.0, GOOD, changed_to=None)
    history.note("https://b.example/", 9.0, GOOD, changed_to=None)
    assert [summary.url for summary in history.summaries(0.0)] == ["https://a.example/", "https://b.example/"]
    assert [summary.url for summary in history.summaries(5.0)] == ["https://b.example/"]
