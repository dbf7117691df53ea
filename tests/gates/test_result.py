import pytest

from tests.gates.samples import SECRET, made_check, made_report, made_result
from voxgate_gates import Redactor, Result, Verdict
from voxgate_gates.result import combine

P, F, S, E = Verdict.PASS, Verdict.FAIL, Verdict.SKIP, Verdict.ERROR


@pytest.mark.parametrize(
    ("verdicts", "whole", "code"),
    [
        ([P, P], P, 0),
        ([P, S], P, 0),
        ([P, E], E, 2),
        ([P, F, E], F, 1),
        ([S, S], S, 2),
        ([], S, 2),
    ],
)
def test_verdicts_combine_so_that_only_a_judged_run_succeeds(
    verdicts: list[Verdict], whole: Verdict, code: int
) -> None:
    assert combine(verdicts) is whole
    report = made_report(*(made_result(verdict) for verdict in verdicts))
    assert (report.verdict, report.exit_code) == (whole, code)


def test_a_skip_is_a_failure_when_strict_and_nothing_else_changes() -> None:
    strict = made_result(S, got="needs an API key").strictly()
    assert strict.verdict is F
    assert "needs an API key" in strict.got
    assert made_result(P).strictly() == made_result(P)


def test_a_planted_secret_is_in_no_field_of_a_result() -> None:
    plain = "wire-secret-0123"
    redactor = Redactor([(plain, "$SECRET")])
    spoiled = f"{plain} {SECRET}"
    result = Result.made(
        made_check(),
        F,
        spoiled,
        redactor=redactor,
        request=spoiled,
        trace_id=spoiled,
        reproduce=spoiled,
        shortfalls=[spoiled],
        figures=[("f", spoiled)],
    )
    assert plain not in repr(result)
    assert SECRET not in repr(result)
    assert result.reproduce == "$SECRET $VOXGATE_KEY"


def test_the_echo_says_what_was_wanted_and_what_came() -> None:
    assert made_result(P).echo == "[STATUS] == 401, got 401"
    assert made_result(F).echo == "[STATUS] == 401, got 200"
    assert made_result(S, got="needs an API key").echo == "[STATUS] == 401, not judged: needs an API key"


def test_a_report_groups_by_gate_in_order_and_counts() -> None:
    report = made_report(made_result(P), made_result(F, gate="realtime"), made_result(S))
    assert [(gate.gate, gate.verdict) for gate in report.gates] == [("security", P), ("realtime", F)]
    assert (report.count(P), report.count(F), report.count(E)) == (1, 1, 0)
