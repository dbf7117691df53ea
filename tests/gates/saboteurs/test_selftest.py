import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gates.samples import fake_gateway, made_check, made_report, made_result, needs_gateway
from voxgate_gates import ALL_CHECKS, Check, Need, Probe, Target, Verdict
from voxgate_gates.saboteurs import ALL_SABOTEURS, Lie, Part, Saboteur
from voxgate_gates.saboteurs.lies import ROUTES, http_lie, to
from voxgate_gates.saboteurs.selftest import SelfTest, honest_target, judge, run_selftest

IDLE = Saboteur(check="security.missing-route-404", name="idle", story="Nothing is broken.", lie=Lie())
CLUMSY = Saboteur(
    check="security.missing-route-404",
    name="clumsy",
    story="Two promises are broken at once.",
    lie=http_lie(to(ROUTES.missing), lambda exchange, answer: answer.put({})),
)


def chosen(*names: str) -> list[Check]:
    return [check for check in ALL_CHECKS if check.id in names]


MISSING = chosen("security.missing-route-404", "security.trace-id-fresh")


@asynccontextmanager
async def honest() -> AsyncIterator[Target]:
    async with fake_gateway() as target:
        yield target


async def test_a_saboteur_that_breaks_nothing_is_missed() -> None:
    async with honest() as target:
        outcome = await run_selftest(target, MISSING, [IDLE], clean_runs=0)
    document = outcome.document()
    assert (document["saboteurs"], document["caught"], document["missed"]) == (1, 0, [IDLE.id])
    assert outcome.exit_code == 1


async def test_a_saboteur_that_breaks_another_promise_too_is_wrong() -> None:
    async with honest() as target:
        outcome = await run_selftest(target, MISSING, [CLUMSY], clean_runs=0)
    document = outcome.document()
    assert (document["caught"], document["missed"], document["wrong"]) == (1, [], [CLUMSY.id])
    assert document["fallen"] == {CLUMSY.id: ["security.trace-id-fresh"]}
    assert outcome.exit_code == 1


async def test_a_saboteur_that_is_caught_and_clean_runs_without_alarm_hold() -> None:
    caught = [saboteur for saboteur in ALL_SABOTEURS if saboteur.check == "security.missing-route-404"]
    told: list[tuple[str, str]] = []
    async with honest() as target:
        outcome = await run_selftest(
            target, MISSING, caught, clean_runs=2, progress=lambda name, verdict: told.append((name, verdict))
        )
    assert outcome.exit_code == 0
    assert {"saboteurs": 1, "caught": 1, "missed": [], "wrong": [], "cleanRuns": 2, "falseAlarms": 0}.items() <= (
        outcome.document().items()
    )
    assert sorted(told) == [("clean run 1", "no alarm"), ("clean run 2", "no alarm"), (caught[0].id, "caught")]


async def test_a_check_that_falls_in_a_clean_run_is_a_false_alarm() -> None:
    async def wrong(probe: Probe) -> dict[str, object]:
        return {"STATUS": 500}

    async with honest() as target:
        outcome = await run_selftest(target, [made_check("nervous", run=wrong)], [], clean_runs=1)
    assert outcome.document()["falseAlarms"] == 1
    assert "security.nervous" in outcome.false_alarms[0]
    assert outcome.exit_code == 1


async def test_what_can_not_be_judged_is_skipped_and_not_caught() -> None:
    php = next(saboteur for saboteur in ALL_SABOTEURS if saboteur.part is Part.PHP)
    async with honest() as target:
        outcome = await run_selftest(target, chosen(php.check), [php], clean_runs=0)
    assert outcome.document()["skipped"] == [php.id]
    assert outcome.document()["caught"] == 0
    assert outcome.exit_code == 2


async def test_a_stop_keeps_what_ran_and_counts_the_rest() -> None:
    stop = asyncio.Event()
    async with honest() as target:
        outcome = await run_selftest(
            target, MISSING, [], clean_runs=3, jobs=1, stop=stop, progress=lambda name, verdict: stop.set()
        )
    assert (outcome.clean_runs, outcome.left, outcome.exit_code) == (1, 2, 2)


async def test_a_lie_about_a_command_is_told_to_the_checks_of_commands() -> None:
    seen: list[tuple[str, ...]] = []

    async def look(probe: Probe) -> dict[str, object]:
        seen.append(probe.target.command)
        return {"STATUS": 500}

    check = made_check("upkeep", run=look, needs=frozenset({Need.COMMAND}), gate="data")
    other = made_check("other", run=look)
    liar = Saboteur(
        check=check.id, name="wrapped", story="It lies.", part=Part.COMMAND, command=lambda command: ("liar", *command)
    )
    async with fake_gateway(command=(sys.executable,)) as target:
        outcome = await run_selftest(target, [check, other], [liar], clean_runs=0)
    assert seen == [("liar", sys.executable)]
    assert outcome.document()["caught"] == 1


async def test_a_document_is_edited_in_a_copy(tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text("true")
    (tmp_path / ".git").mkdir()

    async def look(probe: Probe) -> dict[str, object]:
        project = probe.target.project
        assert project is not None
        is_true = (project / "CHANGELOG.md").read_text() == "true"
        assert (project / ".git").exists() == is_true, "what is edited is a copy, and the history is not copied"
        return {"STATUS": 401 if is_true else 500}

    check = made_check("changelog", run=look, needs=frozenset({Need.PROJECT}), gate="docs")
    liar = Saboteur(
        check=check.id,
        name="edited",
        story="It is edited.",
        part=Part.PROJECT,
        edit=lambda project: (project / "CHANGELOG.md").write_text("false"),
    )
    async with fake_gateway(project=tmp_path) as target:
        outcome = await run_selftest(target, [check], [liar], clean_runs=1)
    async with fake_gateway() as target:
        elsewhere = await run_selftest(target, [check], [liar], clean_runs=0)
    assert outcome.exit_code == 0
    assert (tmp_path / "CHANGELOG.md").read_text() == "true"
    assert elsewhere.document()["skipped"] == [liar.id]


def test_the_related_are_allowed_to_fall() -> None:
    saboteur = Saboteur(check="security.a", name="n", story="s.", related=frozenset({"security.b"}), lie=Lie())
    report = made_report(
        made_result(Verdict.FAIL, name="a"), made_result(Verdict.ERROR, name="b"), made_result(Verdict.ERROR, name="c")
    )
    caught = judge(saboteur, report)
    assert caught.is_caught
    assert caught.unrelated == ("security.c",)


def test_nothing_judged_is_no_success() -> None:
    assert SelfTest(left=1).exit_code == 2


@needs_gateway
@pytest.mark.timeout(180)
async def test_on_the_real_stack_one_of_each_kind_is_caught_and_a_clean_run_is_clean() -> None:
    names = ("security.token-ttl", "realtime.replayed-token-4003", "build.fanout-delivered", "data.retention-honest")
    wanted = [saboteur for saboteur in ALL_SABOTEURS if saboteur.check in names]
    checks = chosen(*names, "security.token-issued-200", "build.fanout-accepted")
    async with honest_target(Path("nowhere"), None) as target:
        assert "router.php" in target.php_absent
        outcome = await run_selftest(target, checks, wanted, clean_runs=1)
    assert outcome.document() == {
        "saboteurs": 4, "caught": 4, "missed": [], "wrong": [], "cleanRuns": 1, "falseAlarms": 0,
        "skipped": [], "notRun": 0, "fallen": {}, "alarms": [],
    }  # fmt: skip
