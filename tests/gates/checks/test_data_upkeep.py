import os
import sys
from pathlib import Path

import pytest

from voxgate_gates import Result, Target, Verdict, run_checks
from voxgate_gates.checks.data_upkeep import suite

CHECKS = {check.id.removeprefix("data."): check for check in suite}
FAKE = Path(__file__).parents[1] / "fake_voxgate.py"
NOWHERE = "http://127.0.0.1:9"

LIES = [
    ("retention-honest", "plan-hides", "[PLANNED] == [PAST]"),
    ("retention-honest", "takes-all", "[PLANNED] == [PAST]"),
    ("retention-honest", "plan-removes", "[GONE_AFTER_PLAN] == []"),
    ("retention-honest", "dry-run-hides", "[DRY_RUN] == [PAST]"),
    ("retention-honest", "dry-run-removes", "[GONE_AFTER_DRY_RUN] == []"),
    ("retention-honest", "leaves-one", "[GONE] == [PAST]"),
    ("retention-honest", "removes-more", "[GONE] == [PAST]"),
    ("retention-honest", "touches-others", "[CHANGED] == []"),
    ("retention-honest", "falls-short", "[STATUSES] == [0, 0, 0]"),
    ("erase-really-erases", "erases-nothing", "[TEXT_LEFT_IN] == []"),
    ("erase-really-erases", "leaves-bytes", "[TEXT_LEFT_IN] == []"),
    ("erase-really-erases", "keeps-the-subject", "[SUBJECT_LEFT_IN] == []"),
    ("erase-really-erases", "logs-it", "[SUBJECT_LEFT_IN] == []"),
    ("erase-really-erases", "erases-all", "[OTHER_IS_LEFT] == true"),
    ("erase-really-erases", "falls-short", "[STATUS] == 0"),
]


async def judged_upkeep(name: str, *lies: str) -> Result:
    target = Target(NOWHERE, command=(sys.executable, "-I", str(FAKE), *lies, "--"))
    return (await run_checks(target, [CHECKS[name]], version="test")).results[0]


@pytest.mark.parametrize("name", CHECKS)
async def test_honest_commands_keep_every_promise(name: str) -> None:
    result = await judged_upkeep(name)
    assert result.verdict is Verdict.PASS, result.echo


@pytest.mark.parametrize(("name", "lie", "clause"), LIES)
async def test_a_lie_is_caught_by_the_check_meant_for_it(name: str, lie: str, clause: str) -> None:
    result = await judged_upkeep(name, lie)
    assert result.verdict is Verdict.FAIL
    assert any(shortfall.startswith(clause) for shortfall in result.shortfalls), result.shortfalls


@pytest.mark.parametrize(
    ("name", "lie", "told"),
    [
        ("retention-honest", "no-report", "printed no report"),
        ("erase-really-erases", "no-store", "made no store: status 2, there is no database"),
        ("erase-really-erases", "other-schema", "can't be filled: no such table: sessions"),
    ],
)
async def test_a_command_that_can_not_be_judged_is_no_pass(name: str, lie: str, told: str) -> None:
    result = await judged_upkeep(name, lie)
    assert result.verdict is Verdict.ERROR
    assert told in result.got


async def test_a_gateway_that_the_gates_did_not_start_has_no_commands_to_judge() -> None:
    report = await run_checks(Target(NOWHERE), list(suite), version="test")
    assert [result.verdict for result in report.results] == [Verdict.SKIP] * len(CHECKS)
    assert "a gateway that the gates started" in report.results[0].got


async def test_the_checks_leave_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in CHECKS:
        await judged_upkeep(name)
    assert os.listdir(tmp_path) == []


def test_every_check_has_a_lie_and_none_is_for_production() -> None:
    assert {name for name, *_ in LIES} == set(CHECKS)
    assert not any(check.safe_on_production for check in suite)
