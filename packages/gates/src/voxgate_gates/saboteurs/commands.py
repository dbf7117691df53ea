"""``voxgate gates-selftest``: prove that every check can fail, and that none fails for nothing."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from voxgate_gates.check import select
from voxgate_gates.checks import ALL_CHECKS, GATES
from voxgate_gates.harness import StartFailed, StopFailed
from voxgate_gates.interrupt import stop_event
from voxgate_gates.php import SHIM
from voxgate_gates.project import find_project
from voxgate_gates.report.folder import REPORT_DIR, write_whole
from voxgate_gates.saboteurs import ALL_SABOTEURS
from voxgate_gates.saboteurs.saboteur import Saboteur
from voxgate_gates.saboteurs.selftest import CLEAN_RUNS, JOBS, SelfTest, honest_target, run_selftest

__all__ = ["gates_selftest"]

REPORT: Final = "selftest.json"


@click.command("gates-selftest")
@click.option(
    "--only", metavar="GATE", multiple=True, help="The saboteurs of this gate, or of this one check. Repeatable."
)
@click.option("--clean-runs", type=click.IntRange(min=0), default=CLEAN_RUNS, show_default=True)
@click.option("--jobs", type=click.IntRange(1, 32), default=JOBS, show_default=True, help="Runs at once.")
@click.option(
    "--php-shim",
    type=click.Path(file_okay=False, path_type=Path),
    default=SHIM,
    show_default=True,
    help="The PHP shim.",
)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The project whose documents are edited, in copies. [default: this directory, where it is one]",
)
@click.option("--report-dir", type=click.Path(file_okay=False, path_type=Path), default=REPORT_DIR, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print selftest.json on stdout, and nothing else there.")
def gates_selftest(
    only: tuple[str, ...],
    clean_runs: int,
    jobs: int,
    php_shim: Path,
    project: Path | None,
    report_dir: Path,
    as_json: bool,
) -> None:
    """Let a saboteur break each promise, and see it caught by the check it is meant for.

    Exit 0 when all were caught and no clean run raised an alarm, 1 when not, 2 when some could not be judged.
    """
    try:
        wanted = {check.id for check in select(ALL_CHECKS, only)}
    except LookupError as error:
        raise click.UsageError(f"{error.args[0]}; gates are {', '.join(GATES)}") from error
    saboteurs = [saboteur for saboteur in ALL_SABOTEURS if saboteur.check in wanted]
    console = Console(stderr=as_json)
    try:
        outcome = asyncio.run(_run(saboteurs, clean_runs, jobs, php_shim, find_project(project), console))
    except StartFailed as error:
        raise click.ClickException(f"the honest stack did not start: {error}") from error
    except StopFailed as error:
        raise click.ClickException(f"the honest stack did not stop: {error}") from error
    report_dir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(outcome.document(), indent=2, ensure_ascii=False) + "\n"
    write_whole(report_dir / REPORT, text)
    if as_json:
        click.echo(text, nl=False)
    _print(outcome, console)
    console.print(f"report: {report_dir / REPORT}", style="dim", soft_wrap=True)
    sys.exit(outcome.exit_code)


async def _run(
    saboteurs: list[Saboteur], clean_runs: int, jobs: int, shim: Path, project: Path | None, console: Console
) -> SelfTest:
    total, done = len(saboteurs) + clean_runs, 0

    def tell(name: str, verdict: str) -> None:
        nonlocal done
        done += 1
        console.print(f"{done:4d}/{total}  {name}: {verdict}", highlight=False, markup=False, soft_wrap=True)

    with stop_event() as stop:
        async with honest_target(shim, project) as target:
            return await run_selftest(
                target, ALL_CHECKS, saboteurs, clean_runs=clean_runs, jobs=jobs, stop=stop, progress=tell
            )


def _print(outcome: SelfTest, console: Console) -> None:
    document = outcome.document()
    for alarm in outcome.false_alarms:
        console.print(f"false alarm: {alarm}", style="red", markup=False, soft_wrap=True)
    console.print(
        f"{document['caught']} of {document['saboteurs']} saboteurs caught, {outcome.clean_runs} clean runs with "
        f"{len(outcome.false_alarms)} false alarms" + (f", {outcome.left} runs not made" if outcome.left else ""),
        style="green" if outcome.exit_code == 0 else "red",
        soft_wrap=True,
    )
