"""The self-test: every saboteur against every check that can see it, and runs without any that must stay green.

One honest stack is started for all of it, and each run looks at it through proxies of its own. A lie is caught when the
check that it is meant for fails. It is wrong when another check falls that rests on another promise. A check that
looks only at parts that are not lied about is left out of that run: nothing between it and the truth has changed.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from voxgate_gates import __version__
from voxgate_gates.check import Check
from voxgate_gates.coverage import COVERAGE, SOURCES, has_coverage
from voxgate_gates.harness import running_target
from voxgate_gates.php import running_shim, shim_fault
from voxgate_gates.project import has_site_tools
from voxgate_gates.result import RunReport, Verdict
from voxgate_gates.runner import run_checks
from voxgate_gates.saboteurs.proxy import lying_proxy
from voxgate_gates.saboteurs.saboteur import Lie, Part, Saboteur, parts_of
from voxgate_gates.target import Target

__all__ = ["CLEAN_RUNS", "JOBS", "Caught", "SelfTest", "honest_target", "judge", "run_selftest"]

CLEAN_RUNS: Final = 50
"""Runs without a saboteur: none may raise an alarm."""

JOBS: Final = 4
"""Runs at once. Most of their time is waiting, but they share the machine with the stack that they judge."""

PATIENCE: Final = 4.0
"""How much longer a check may take than when it has the machine for itself."""

SETTINGS: Final = {"VOXGATE_QUOTA_SUBJECT": "100000/minute", "VOXGATE_QUOTA_ADDRESS": "100000/minute"}
"""The self-test asks for more tokens a minute than any client: quotas are not what it is about."""

NOT_COPIED: Final = (
    ".git",
    ".venv",
    ".nox",
    "build",
    "dist",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
)
"""Folders of the project that no document is in."""


@dataclass(frozen=True, slots=True)
class Caught:
    """One saboteur, judged: ``by_its_check`` is the verdict of the check that it is meant for."""

    saboteur: Saboteur
    by_its_check: Verdict
    unrelated: tuple[str, ...] = ()

    @property
    def is_caught(self) -> bool:
        return self.by_its_check is Verdict.FAIL


@dataclass(slots=True)
class SelfTest:
    """What came of a self-test, in the shape of ``selftest.json``."""

    saboteurs: list[Caught] = field(default_factory=list)
    clean_runs: int = 0
    false_alarms: list[str] = field(default_factory=list)
    left: int = 0
    """Runs that were not made, because it was stopped."""

    def document(self) -> dict[str, object]:
        """``{saboteurs, caught, missed, wrong, cleanRuns, falseAlarms}`` and details: what was skipped, what fell."""
        judged = [caught for caught in self.saboteurs if caught.by_its_check is not Verdict.SKIP]
        return {
            "saboteurs": len(self.saboteurs),
            "caught": sum(caught.is_caught for caught in judged),
            "missed": [caught.saboteur.id for caught in judged if not caught.is_caught],
            "wrong": [caught.saboteur.id for caught in judged if caught.unrelated],
            "cleanRuns": self.clean_runs,
            "falseAlarms": len(self.false_alarms),
            "skipped": [caught.saboteur.id for caught in self.saboteurs if caught.by_its_check is Verdict.SKIP],
            "notRun": self.left,
            "fallen": {caught.saboteur.id: list(caught.unrelated) for caught in judged if caught.unrelated},
            "alarms": self.false_alarms,
        }

    @property
    def exit_code(self) -> int:
        """0 when every saboteur was caught rightly, 1 when not, 2 when some could not be judged."""
        document = self.document()
        if document["missed"] or document["wrong"] or document["alarms"]:
            return 1
        return 2 if self.left or document["skipped"] else 0


def judge(saboteur: Saboteur, report: RunReport) -> Caught:
    """Who fell in a run with this saboteur. Pure."""
    allowed = {saboteur.check, *saboteur.related}
    verdicts = {result.id: result.verdict for result in report.results}
    fallen = [name for name, verdict in verdicts.items() if verdict in (Verdict.FAIL, Verdict.ERROR)]
    return Caught(saboteur, verdicts[saboteur.check], tuple(name for name in fallen if name not in allowed))


@asynccontextmanager
async def honest_target(shim: Path, project: Path | None) -> AsyncIterator[Target]:
    """A stack that keeps its promises, with the PHP shim beside it where PHP is there, as base elsewhere too.

    Raises :class:`StartFailed`, :class:`StopFailed`.
    """
    async with running_target(settings=SETTINGS) as started:
        target = replace(started, project=project, site_tools=has_site_tools(), coverage=has_coverage(project))
        fault = shim_fault(shim)
        if fault is not None:
            yield replace(target, php_absent=fault)
            return
        async with running_shim(shim) as url:
            yield replace(target, php=url, remote_php=url)


async def run_selftest(
    target: Target,
    checks: Sequence[Check],
    saboteurs: Iterable[Saboteur],
    *,
    clean_runs: int = CLEAN_RUNS,
    jobs: int = JOBS,
    stop: asyncio.Event | None = None,
    progress: Callable[[str, str], None] | None = None,
) -> SelfTest:
    """Let every saboteur spoil a run, and make ``clean_runs`` without any. ``progress`` gets a name and a verdict.

    Setting ``stop`` ends it early; what was judged is kept, and ``left`` counts the rest.
    """
    patient = [replace(check, seconds=check.seconds * PATIENCE) for check in checks]
    outcome = SelfTest()
    tell = progress or (lambda name, verdict: None)
    stopping = stop or asyncio.Event()

    async def spoil(saboteur: Saboteur) -> None:
        seeing = [check for check in patient if saboteur.part in parts_of(check)]
        async with _spoiled(target, saboteur) as spoiled:
            report = await run_checks(spoiled, seeing, version=__version__, stop=stopping)
        if stopping.is_set():
            return
        caught = judge(saboteur, report)
        outcome.saboteurs.append(caught)
        tell(saboteur.id, _said(caught))

    async def leave_alone(number: int) -> None:
        async with _seen_through(target, {part: Lie() for part in (Part.GATEWAY, Part.PHP, Part.REMOTE)}) as honest:
            report = await run_checks(honest, patient, version=__version__, stop=stopping)
        if stopping.is_set():
            return
        outcome.clean_runs += 1
        fallen = [result for result in report.results if result.verdict in (Verdict.FAIL, Verdict.ERROR)]
        outcome.false_alarms += [f"{result.id}: {result.echo}" for result in fallen]
        tell(f"clean run {number}", "an alarm: " + ", ".join(r.id for r in fallen) if fallen else "no alarm")

    todo: list[Callable[[], Awaitable[None]]] = [
        *((lambda saboteur=saboteur: spoil(saboteur)) for saboteur in saboteurs),
        *((lambda number=number: leave_alone(number)) for number in range(1, clean_runs + 1)),
    ]
    total = len(todo)

    async def work() -> None:
        while todo and not stopping.is_set():
            await todo.pop(0)()

    async with asyncio.TaskGroup() as group:
        for _ in range(jobs):
            group.create_task(work())
    outcome.left = total - len(outcome.saboteurs) - outcome.clean_runs
    return outcome


def _said(caught: Caught) -> str:
    if not caught.is_caught:
        return f"MISSED ({caught.by_its_check})" if caught.by_its_check is not Verdict.SKIP else "skipped"
    return f"WRONG: {', '.join(caught.unrelated)} fell too" if caught.unrelated else "caught"


@asynccontextmanager
async def _spoiled(target: Target, saboteur: Saboteur) -> AsyncIterator[Target]:
    """The target with the saboteur in front of the part that it lies about."""
    if saboteur.command is not None:
        yield replace(target, command=saboteur.command(target.command))
    elif saboteur.edit is not None:
        with tempfile.TemporaryDirectory(prefix="voxgate-selftest-") as folder:
            if target.project is None:
                yield target
                return
            copy = Path(folder, "project")
            await asyncio.to_thread(
                shutil.copytree, target.project, copy, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True
            )
            for name in (COVERAGE, SOURCES):  # of what is built, the only files that a check looks at
                if (target.project / name).is_file():
                    (copy / name).parent.mkdir(exist_ok=True)
                    shutil.copy(target.project / name, copy / name)
            saboteur.edit(copy)
            yield replace(target, project=copy, coverage=has_coverage(copy))
    else:
        assert saboteur.lie is not None
        async with _seen_through(target, {saboteur.part: saboteur.lie}) as spoiled:
            yield spoiled


@asynccontextmanager
async def _seen_through(target: Target, lies: dict[Part, Lie]) -> AsyncIterator[Target]:
    """The target with a proxy in front of each of these parts that it has."""
    async with contextlib.AsyncExitStack() as stack:
        if Part.GATEWAY in lies:
            url = await stack.enter_async_context(lying_proxy(target.url, lies[Part.GATEWAY], target))
            target = replace(target, url=url)
        if Part.PHP in lies and target.php is not None:
            url = await stack.enter_async_context(lying_proxy(target.php, lies[Part.PHP], target))
            target = replace(target, php=url)
        if Part.REMOTE in lies and target.remote_php is not None:
            url = await stack.enter_async_context(lying_proxy(target.remote_php, lies[Part.REMOTE], target))
            target = replace(target, remote_php=url)
        yield target
