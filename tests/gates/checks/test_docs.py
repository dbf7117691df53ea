"""The docs gate on this very repository, and on copies of it that were spoiled."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.gates.samples import needs_gateway
from tests.gates.test_hostile_target import answering, whole
from voxgate_gates import Check, Target, Verdict, run_checks
from voxgate_gates.check import Need
from voxgate_gates.checks.docs import METRICS, SUMMARY, UPTIME, suite
from voxgate_gates.project import has_site_tools
from voxgate_gates.saboteurs.docs import SABOTEURS, _replaced
from voxgate_gates.saboteurs.selftest import NOT_COPIED

ROOT = Path(__file__).resolve().parents[3]
CHECKS = {check.id: check for check in suite}
TEXTUAL = [check for check in suite if Need.KEY not in check.needs and not check.slow]
NOTES = "docs/release-notes/*.md"
SLOW = [check for check in suite if check.slow]


async def verdicts(project: Path | None, checks: list[Check], *, site_tools: bool = False) -> dict[str, str]:
    """What each check says about a folder: its verdict, and what came where it did not pass."""
    target = Target("http://127.0.0.1:9", project=project, site_tools=site_tools)
    report = await run_checks(target, checks, version="test")
    return {r.id: "" if r.verdict is Verdict.PASS else f"{r.verdict}: {r.echo}" for r in report.results}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*NOT_COPIED, "tests"), symlinks=True)
    return project


async def test_this_repository_keeps_its_promises() -> None:
    assert await verdicts(ROOT, TEXTUAL) == {check.id: "" for check in TEXTUAL}


@needs_gateway
@pytest.mark.timeout(180)
async def test_its_tools_say_the_same() -> None:
    checks = [check for check in SLOW if Need.SITE not in check.needs or has_site_tools()]
    assert await verdicts(ROOT, checks, site_tools=has_site_tools()) == {check.id: "" for check in checks}


@pytest.mark.parametrize("check", TEXTUAL, ids=lambda check: check.id)
async def test_an_edited_document_is_caught_and_nothing_else_is_said(check: Check, copy: Path) -> None:
    saboteur = next(saboteur for saboteur in SABOTEURS if saboteur.check == check.id)
    assert saboteur.edit is not None
    saboteur.edit(copy)
    fallen = {name for name, said in (await verdicts(copy, TEXTUAL)).items() if said.startswith("fail")}
    assert check.id in fallen
    assert fallen <= {check.id, *saboteur.related}


LIES = [
    ("cross-links", "README.md", "](docs/OPS_RUNBOOK.md)", " docs/OPS_RUNBOOK.md)"),
    ("cross-links", SUMMARY, "`CHANGELOG.md`", "CHANGELOG.md"),
    ("release-notes", NOTES, "## Known gaps", "<!-- ## Known gaps -->"),
    ("release-notes", NOTES, "## Known gaps", "## Known gaps\n\n## And so on"),
    ("release-notes", NOTES, "`realtime`", "<!-- `realtime` -->"),
    ("executive-summary", SUMMARY, "`packages/engine`", "`packages/enigma`"),
    ("uptime-workflow", UPTIME, "TRIES: 3", "TRIES: 1"),
    ("uptime-workflow", UPTIME, "            gh issue close", "            # gh issue close"),
    (
        "uptime-workflow",
        UPTIME,
        "PAUSE_SECONDS: 20",
        'PAUSE_SECONDS: 20\n          ELSEWHERE: "https://voice.example.com"',
    ),
]
"""What words alone would let pass: the check, the document, and what is put in place of what."""


@pytest.mark.parametrize(("name", "document", "old", "new"), LIES)
async def test_a_document_is_held_to_more_than_its_words(
    name: str, document: str, old: str, new: str, copy: Path
) -> None:
    _replaced(document, old, new)(copy)
    found = await verdicts(copy, [CHECKS[f"docs.{name}"]])
    assert found[f"docs.{name}"].startswith("fail")


@pytest.mark.parametrize(
    ("row", "fallen"),
    [
        ("| `voxgate_turns_total` | counter |  | Turns that were completed. |", False),
        ("| `voxgate_turns_total` | gauge |  | Turns that were completed. |", True),
        ("| `voxgate_turns_total` | counter |  |  |", True),
        ("The metric `voxgate_turns_total` is a counter.", True),
    ],
)
async def test_a_metric_is_held_to_its_row(row: str, fallen: bool, tmp_path: Path) -> None:
    page = tmp_path / METRICS
    page.parent.mkdir(parents=True)
    page.write_text(f"| metric | type | labels | meaning |\n|---|---|---|---|\n{row}\n", "utf-8")
    shown = b"# HELP voxgate_turns_total T.\n# TYPE voxgate_turns_total counter\nvoxgate_turns_total 0\n"
    async with answering(lambda _: whole(shown)) as target:
        target = replace(target, key="vk_a-key-of-somebody", project=tmp_path)
        report = await run_checks(target, [CHECKS["docs.metrics-documented"]], version="test")
    assert (report.verdict is Verdict.FAIL) is fallen


async def test_without_a_project_everything_is_skipped() -> None:
    found = await verdicts(None, list(suite))
    assert all(said.startswith("skip: ") for said in found.values())
    assert "--project" in found["docs.changelog-entry"]


async def test_without_mkdocs_the_site_is_skipped_with_how_to_get_it() -> None:
    found = await verdicts(ROOT, [CHECKS["docs.site-builds"]])
    assert "nox -s gates" in found["docs.site-builds"]


async def test_a_folder_without_a_version_can_not_be_judged(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    found = await verdicts(tmp_path, [CHECKS["docs.changelog-entry"], CHECKS["docs.generated-pages"]])
    assert "0 versions" in found["docs.changelog-entry"]
    assert found["docs.generated-pages"].startswith("error")
    (tmp_path / "pyproject.toml").write_text("no toml [")
    assert "can't be read" in (await verdicts(tmp_path, [CHECKS["docs.changelog-entry"]]))["docs.changelog-entry"]


async def test_a_project_that_can_not_tell_its_facts_is_not_judged(tmp_path: Path) -> None:
    tool = tmp_path / "docs" / "tools" / "reference.py"
    tool.parent.mkdir(parents=True)
    tool.write_text("print('no JSON')")
    found = await verdicts(tmp_path, [CHECKS["docs.security-facts"]])
    assert "--facts ended with status 0: no JSON" in found["docs.security-facts"]
