from datetime import date

import pytest

from tests.gates.samples import made_report, made_result
from voxgate_gates import Verdict
from voxgate_gates.waivers import MAX_DAYS, Waiver, apply_waivers

TODAY = date(2026, 11, 26)
WAIVER = Waiver("security.sample", "Ada", "the sample is being repaired", date(2026, 12, 24))


def test_a_waived_shortfall_is_skipped_and_says_who_answers_for_it() -> None:
    report = apply_waivers(
        made_report(made_result(Verdict.FAIL, got="200"), made_result(name="other")), [WAIVER], TODAY
    )
    result = report.results[0]
    assert result.verdict is Verdict.SKIP
    assert result.waiver == "waived by Ada until 2026-12-24: the sample is being repaired"
    assert result.got.startswith(result.waiver)
    assert "it fell short: [STATUS] == 401, got 200" in result.got
    assert report.results[1].verdict is Verdict.PASS
    assert report.exit_code == 0
    assert report.notes == ()


def test_a_run_of_nothing_but_waived_checks_is_no_success() -> None:
    assert apply_waivers(made_report(made_result(Verdict.FAIL)), [WAIVER], TODAY).exit_code == 2


@pytest.mark.parametrize(("today", "verdict"), [(date(2026, 12, 24), Verdict.SKIP), (date(2026, 12, 25), Verdict.FAIL)])
def test_a_waiver_holds_to_the_end_of_its_last_day(today: date, verdict: Verdict) -> None:
    report = apply_waivers(made_report(made_result(Verdict.FAIL)), [WAIVER], today)
    assert report.results[0].verdict is verdict
    ended = ["The waiver of security.sample by Ada ended on 2026-12-24."]
    assert list(report.notes) == ([] if verdict is Verdict.SKIP else ended)


def test_what_could_not_be_judged_is_not_waived() -> None:
    assert apply_waivers(made_report(made_result(Verdict.ERROR)), [WAIVER], TODAY).results[0].verdict is Verdict.ERROR


def test_a_check_that_holds_says_that_its_waiver_can_go() -> None:
    report = apply_waivers(made_report(made_result()), [WAIVER], TODAY)
    assert report.results[0].verdict is Verdict.PASS
    assert report.notes == ("security.sample held: the waiver by Ada is no longer needed.",)


def test_a_skip_that_strict_does_not_allow_can_be_waived() -> None:
    skipped = made_result(Verdict.SKIP, got="needs PHP").strictly()
    result = apply_waivers(made_report(skipped), [WAIVER], TODAY).results[0]
    assert result.verdict is Verdict.SKIP
    assert "needs PHP" in result.got


def test_a_waiver_ends_within_a_quarter() -> None:
    assert not Waiver("a.b", "Ada", "for now", date.fromordinal(TODAY.toordinal() + MAX_DAYS)).is_too_long(TODAY)
    assert Waiver("a.b", "Ada", "for now", date.fromordinal(TODAY.toordinal() + MAX_DAYS + 1)).is_too_long(TODAY)
