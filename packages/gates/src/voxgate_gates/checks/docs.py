"""The Docs/Observability gate: what the project says of itself, held to what it is.

Judges files of the project, and asks the project's own tools where text alone can't tell. Nothing is written there.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from voxgate_gates.check import Need, Suite
from voxgate_gates.documents import (
    changelog_faults,
    decision_faults,
    env_names,
    env_value,
    heading_ids,
    links_of,
    metrics_of,
    missing_words,
    places_of,
    prose,
    release_name,
    sections_of,
    security_faults,
    summary_faults,
    unlinked,
    uptime_faults,
)
from voxgate_gates.harness import SETTINGS
from voxgate_gates.probe import Probe, Unjudged

__all__ = ["suite"]

suite = Suite("docs")

CHECK_SECONDS: Final = 60.0
"""For the checks that run one of the project's tools, on a machine that is busy."""

MAX_TEXT: Final = 4 * 1024 * 1024
"""Bytes of a document that are read."""

SHOWN: Final = 600
"""Characters of a tool's last words that are repeated."""

CHANGELOG: Final = "CHANGELOG.md"
SUMMARY: Final = "docs/AUDIT_EXECUTIVE_SUMMARY.md"
SECURITY: Final = "docs/SECURITY.md"
RUNBOOK: Final = "docs/OPS_RUNBOOK.md"
OBSERVABILITY: Final = "docs/OBSERVABILITY.md"
DECISIONS: Final = "docs/adr/index.md"
METRICS: Final = "docs/reference/metrics.md"
UPTIME: Final = ".github/workflows/uptime.yml"
REFERENCE: Final = "docs/tools/reference.py"
EXAMPLES: Final = {"dev": ".env.example", "preview": ".env.preview.example", "prod": ".env.prod.example"}

NO_FAULTS: Final = "[FAULTS] == []"


def _project(probe: Probe) -> Path:
    project = probe.target.project
    assert project is not None  # Need.PROJECT
    return project


def _read(project: Path, name: str) -> str:
    """A document; nothing for one that is not there, which then lacks everything it should say."""
    path = project / name
    if not path.is_file() or path.stat().st_size > MAX_TEXT:
        return ""
    return path.read_text("utf-8", "replace")


def _version(project: Path) -> str:
    """The version of the project's packages. Raises :class:`Unjudged` where they have none, or several."""
    found = set()
    for path in (project / "pyproject.toml", *sorted((project / "packages").glob("*/pyproject.toml"))):
        try:
            found.add(tomllib.loads(path.read_text("utf-8")).get("project", {}).get("version"))
        except (OSError, ValueError) as error:
            raise Unjudged(f"{path.name} can't be read: {error}") from error
    found.discard(None)
    if len(found) != 1:
        raise Unjudged(f"the packages of the project have {len(found)} versions, not one")
    return str(found.pop())


def _notes(project: Path) -> str:
    return f"docs/release-notes/{release_name(_version(project))}.md"


async def _tool(project: Path, *words: str) -> tuple[int, str]:
    """Run one of the project's tools with this Python; its status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=project, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, env=_quiet(),
    )  # fmt: skip
    try:
        said, _ = await process.communicate()  # for as long as the check may take
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode("utf-8", "replace")


def _quiet() -> dict[str, str]:
    """No key of a target, no secret of a gateway: what runs here is the project's code, not ours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    return {**inherited, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}


async def _facts(project: Path) -> dict[str, Any]:
    """What the code says of itself, asked once for all checks of a run. Raises :class:`Unjudged` where it can't be asked."""
    asked = _asked.setdefault(asyncio.get_running_loop(), {})
    if project not in asked or (asked[project].done() and not _succeeded(asked[project])):
        asked[project] = asyncio.create_task(_ask_code(project))
    return await asyncio.shield(asked[project])  # one check's end is not the other's


_asked: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, asyncio.Task[dict[str, Any]]]] = WeakKeyDictionary()


def _succeeded(task: asyncio.Task[dict[str, Any]]) -> bool:
    return not task.cancelled() and task.exception() is None


async def _ask_code(project: Path) -> dict[str, Any]:
    status, said = await _tool(project, REFERENCE, "--facts")
    try:
        facts: dict[str, Any] = json.loads(said)
    except ValueError as error:
        raise Unjudged(f"{REFERENCE} --facts ended with status {status}: {said.strip()[-SHOWN:]}") from error
    return facts


@suite.check(
    "changelog-entry",
    promise="The changelog has a dated entry for the version, on top, that speaks of every workstream.",
    condition=NO_FAULTS,
    advice="Collect the fragments with `scriv collect`, and sum up the workstreams at the top of the entry.",
    needs=[Need.PROJECT],
)
async def changelog_entry(probe: Probe) -> Mapping[str, object]:
    project = _project(probe)
    return {"FAULTS": changelog_faults(_read(project, CHANGELOG), release_name(_version(project)))}


@suite.check(
    "cross-links",
    promise="Changelog, README, release notes, executive summary and decisions lead to each other, and every link arrives.",
    condition="[MISSING] == [] && [BROKEN] == []",
    advice="Add the link that is missing; of a broken one mend the path, or the fragment, to what is there.",
    needs=[Need.PROJECT],
)
async def cross_links(probe: Probe) -> Mapping[str, object]:
    project = _project(probe)
    notes = _notes(project)
    wanted = {
        CHANGELOG: (notes, "README.md"),
        "README.md": (CHANGELOG, SUMMARY, notes, DECISIONS, SECURITY, RUNBOOK, OBSERVABILITY),
        notes: ("AUDIT_EXECUTIVE_SUMMARY.md", "adr/index.md", "SECURITY.md"),
        SUMMARY: (notes.removeprefix("docs/"), "adr/index.md", "SECURITY.md"),
        DECISIONS: ("AUDIT_EXECUTIVE_SUMMARY.md", notes.removeprefix("docs/")),
    }
    missing = [
        f"{name} does not lead to {path}"
        for name, paths in wanted.items()
        for path in unlinked(_read(project, name), paths)
    ]
    # It is no page of the site, so that these two can name it and not link to it.
    missing += [
        f"{name} does not name {CHANGELOG}"
        for name in (notes, SUMMARY)
        if missing_words(prose(_read(project, name)), [f"`{CHANGELOG}`"])
    ]
    broken = [
        f"{name}: {fault}" for name in (*wanted, SECURITY, RUNBOOK, OBSERVABILITY) for fault in _broken(project, name)
    ]
    return {"MISSING": missing, "BROKEN": broken}


def _broken(project: Path, name: str) -> list[str]:
    faults = []
    for path, fragment in links_of(_read(project, name)):
        target = project / name if not path else (project / name).parent / path
        if not target.exists():
            faults.append(f"{path} is not there")
        elif fragment and target.suffix == ".md" and fragment not in heading_ids(target.read_text("utf-8", "replace")):
            faults.append(f"{path}#{fragment} has no such heading")
    return faults


@suite.check(
    "adr-statuses",
    promise="Decisions are numbered in turn, each has a status, and the index lists each once.",
    condition=NO_FAULTS,
    advice="Give the record a line `- Status: accepted`, or another of the statuses, and a row in docs/adr/index.md.",
    needs=[Need.PROJECT],
)
async def adr_statuses(probe: Probe) -> Mapping[str, object]:
    project = _project(probe)
    records = {path.name: path.read_text("utf-8") for path in (project / "docs" / "adr").glob("0*.md")}
    return {"FAULTS": decision_faults(records, _read(project, DECISIONS))}


@suite.check(
    "release-notes",
    promise="The version has release notes that name every gate, how to verify it, and what is missing.",
    condition="[MISSING] == []",
    advice="Write docs/release-notes/<version>.md with the headings Verify it and Known gaps, and name the five gates.",
    needs=[Need.PROJECT],
)
async def release_notes(probe: Probe) -> Mapping[str, object]:
    project = _project(probe)
    text = _read(project, _notes(project))
    sections = sections_of(text)
    missing = [f"## {title}" for title in ("Verify it", "Known gaps") if not sections.get(title)]
    gates = ("`security`", "`realtime`", "`build`", "`data`", "`docs`")
    return {"MISSING": missing + missing_words(prose(text), gates)}


@suite.check(
    "executive-summary",
    promise="The executive summary accounts for every item of every workstream: its state, its place, its proof.",
    condition=NO_FAULTS,
    advice="Give the item a row with a state that begins with done, in part or open, and checks that `--list` shows.",
    needs=[Need.PROJECT],
)
async def executive_summary(probe: Probe) -> Mapping[str, object]:
    from voxgate_gates.checks import ALL_CHECKS  # here: that module imports this one

    project = _project(probe)
    text = _read(project, SUMMARY)
    faults = summary_faults(text, {check.id for check in ALL_CHECKS})
    return {"FAULTS": faults + [f"{path} is not there" for path in places_of(text) if not (project / path).exists()]}


@suite.check(
    "generated-pages",
    promise="The reference pages and the examples of settings say what the code says today.",
    condition="[STATUS] == 0 && [STALE] == []",
    advice="Run `python docs/tools/reference.py`, and commit what it wrote.",
    needs=[Need.PROJECT],
    seconds=CHECK_SECONDS,
    slow=True,
)
async def generated_pages(probe: Probe) -> Mapping[str, object]:
    status, said = await _tool(_project(probe), REFERENCE, "--check")
    if status not in (0, 1):
        raise Unjudged(f"{REFERENCE} --check ended with status {status}: {said.strip()[-SHOWN:]}")
    return {"STATUS": status, "STALE": said.split()}


@suite.check(
    "security-facts",
    promise="The security page's lifetimes of tokens and allowlists of origins are those of the code and the examples.",
    condition=NO_FAULTS,
    advice="Change the row of the environment in docs/SECURITY.md, or the code, whichever is wrong.",
    needs=[Need.PROJECT],
    seconds=CHECK_SECONDS,
    slow=True,
)
async def security_facts(probe: Probe) -> Mapping[str, object]:
    project = _project(probe)
    facts = await _facts(project)
    origins: dict[str, Sequence[str]] = {"dev": facts["devOrigins"]}
    for environment, name in EXAMPLES.items():
        listed = env_value(_read(project, name), "ALLOWED_ORIGINS")
        if listed is not None:
            origins[environment] = listed.split(",")
        origins.setdefault(environment, [])
    return {"FAULTS": security_faults(_read(project, SECURITY), facts["ttl"], origins)}


@suite.check(
    "env-examples",
    promise="The examples of settings name every setting there is, and none that is not.",
    condition="[MISSING] == [] && [UNKNOWN] == [] && [WRONG_ENVIRONMENT] == []",
    advice="Run `python docs/tools/reference.py`: it writes the examples from the settings.",
    needs=[Need.PROJECT],
    seconds=CHECK_SECONDS,
    slow=True,
)
async def env_examples(probe: Probe) -> Mapping[str, object]:
    project = _project(probe)
    settings = (await _facts(project))["settings"]
    texts = {environment: _read(project, name) for environment, name in EXAMPLES.items()}
    named = {environment: env_names(text) for environment, text in texts.items()}
    return {
        "MISSING": [f"{EXAMPLES[e]}: {name}" for e, names in named.items() for name in settings if name not in names],
        "UNKNOWN": [f"{EXAMPLES[e]}: {name}" for e, names in named.items() for name in names if name not in settings],
        "WRONG_ENVIRONMENT": [EXAMPLES[e] for e, text in texts.items() if env_value(text, "VOXGATE_ENV") != e],
    }


@suite.check(
    "uptime-workflow",
    promise="The uptime workflow looks at the repository's own HEALTH_URL, more than once, and keeps one issue.",
    condition="[MISSING] == [] && [LITERAL_URLS] == []",
    advice="Read ${{ vars.HEALTH_URL }} there and nothing else; retry, and open, comment and close one issue.",
    needs=[Need.PROJECT],
)
async def uptime_workflow(probe: Probe) -> Mapping[str, object]:
    text = _read(_project(probe), UPTIME)
    return {"MISSING": uptime_faults(text), "LITERAL_URLS": re.findall(r"https?://[^\s\"'<>]+", text)}


@suite.check(
    "metrics-documented",
    promise="Every metric that the gateway shows is in the reference, with what it means.",
    condition="[STATUS] == 200 && [SHOWN] > 0 && [UNDOCUMENTED] == []",
    advice="Put the metric into the catalogue of voxgate_observability, and run `python docs/tools/reference.py`.",
    needs=[Need.PROJECT, Need.KEY],
)
async def metrics_documented(probe: Probe) -> Mapping[str, object]:
    documented = metrics_of(_read(_project(probe), METRICS))
    answer = await probe.http("GET", probe.target.routes.metrics, origin=probe.target.origin, bearer=probe.target.key)
    lines = answer.content.decode("utf-8", "replace").splitlines()
    shown = re.findall(r"^# TYPE (voxgate_\w+) (\w+)$", "\n".join(lines), re.MULTILINE)
    return {
        "STATUS": answer.status,
        "SHOWN": len(shown),
        "UNDOCUMENTED": [name for name, kind in shown if documented.get(name) != kind],
    }


@suite.check(
    "site-builds",
    promise="The site builds strictly: no page is lost, no link is broken.",
    condition="[STATUS] == 0 && [LAST_WORDS] absent",
    advice="Run `nox -s site`, and mend what it warns about.",
    needs=[Need.PROJECT, Need.SITE],
    seconds=CHECK_SECONDS,
    slow=True,
)
async def site_builds(probe: Probe) -> Mapping[str, object]:
    with tempfile.TemporaryDirectory(prefix="voxgate-gates-") as folder:
        # Never quiet: then mkdocs counts no warnings and calls everything well.
        words = ("-m", "mkdocs", "build", "--strict", "--site-dir", folder)
        status, said = await _tool(_project(probe), *words)
    return {"STATUS": status} if status == 0 else {"STATUS": status, "LAST_WORDS": said.strip()[-SHOWN:]}
