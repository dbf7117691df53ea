import io
from dataclasses import replace

import pytest
from rich.console import Console

from tests.gates.samples import made_check, made_report, made_result
from voxgate_gates import Result, RunReport, Verdict, print_report
from voxgate_gates.runner import errored


def printed(*results: Result, report: RunReport | None = None, width: int = 80) -> str:
    out = io.StringIO()
    print_report(report or made_report(*results), Console(file=out, width=width))
    return out.getvalue()


def test_each_check_takes_one_line_and_the_last_one_is_the_verdict() -> None:
    lines = printed(made_result(), made_result(name="other", gate="realtime")).splitlines()
    rows = [line for line in lines if line.startswith((" sample", " other", "sample", "other"))]
    assert len(rows) == 2
    assert "PASS" in rows[0]
    assert "0.25" in rows[0]
    assert lines[-1] == "PASS: 2 held, in 1.5 s, at http://127.0.0.1:1"


def test_the_time_to_first_audio_is_printed() -> None:
    assert "security.sample: first audio 480 ms" in printed(made_result())


def test_a_shortfall_is_told_whole_however_narrow_the_terminal() -> None:
    text = printed(made_result(Verdict.FAIL, text="a/very/long/path/that/must/not/be/broken"), width=30)
    assert "got      [STATUS] == 401, got 200" in text
    assert "again    curl http://h/a/very/long/path/that/must/not/be/broken" in text
    assert "do       Repair the sample." in text
    assert "$VOXGATE_KEY stands for" in text


def test_a_skip_says_what_it_needs_in_its_row() -> None:
    text = printed(made_result(Verdict.SKIP, got="needs an API key"))
    assert "needs an API key" in text
    assert "SKIPPED: 1 skipped" in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_why_a_check_was_skipped_is_told_whole_however_narrow_the_terminal(width: int) -> None:
    reason = "needs the PHP shim: there is no router.php in php_shim: run this in voxgate's repository"
    _, _, heading, _, *rows, _, _ = printed(made_result(Verdict.SKIP, got=reason), width=width).splitlines()
    told = " ".join(row[heading.index("promise") :].strip() for row in rows)
    assert told.split() == reason.split()


def test_an_unjudged_check_is_told_and_markup_in_it_stays_text() -> None:
    assert "[bold]not reached[/bold]" in printed(made_result(Verdict.ERROR, got="[bold]not reached[/bold]"))


def test_what_kept_checks_from_asking_anything_is_told_once_for_all_of_them() -> None:
    reason = "no token to begin with: POST /api/realtime/token answered 401"
    asked = [made_result(Verdict.ERROR, name=f"check-{number}", got=reason) for number in range(5)]
    results = [replace(result, request="") for result in asked]
    text = printed(*results)
    assert text.count(reason) == 1
    assert "security.check-0, security.check-1, security.check-2 and 2 more NOT JUDGED" in text


def test_a_run_that_never_began_says_why_once() -> None:
    report = errored([made_check("one"), made_check("two")], "it did not start", version="v", target="t")
    assert printed(report=report).count("it did not start") == 1


def test_an_empty_run_says_so() -> None:
    assert "nothing was judged" in printed()


def test_a_run_that_skipped_something_is_not_called_a_pass() -> None:
    skipped = made_result(verdict=Verdict.SKIP)
    told = printed(made_result(), skipped)
    assert "PARTLY JUDGED: 1 held, 1 skipped" in told
    assert told.startswith("security gate: PARTLY JUDGED ")
    assert "PARTLY" not in printed(made_result())
