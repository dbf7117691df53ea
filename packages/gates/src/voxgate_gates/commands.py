"""``voxgate gates``: judge a running gateway, or start one and judge that."""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
from rich.console import Console

from voxgate_gates import __version__
from voxgate_gates.check import Check, Need, select
from voxgate_gates.checks import ALL_CHECKS, GATES
from voxgate_gates.coverage import has_coverage
from voxgate_gates.harness import SERVE, VOXGATE, StartFailed, StopFailed, running_target
from voxgate_gates.interrupt import stop_event
from voxgate_gates.php import SHIM, running_shim, shim_fault
from voxgate_gates.project import find_project, has_site_tools
from voxgate_gates.report.document import report_json
from voxgate_gates.report.folder import REPORT_DIR, write_reports
from voxgate_gates.report.terminal import print_report
from voxgate_gates.result import RunReport
from voxgate_gates.runner import Finished, Progress, Started, errored, run_checks
from voxgate_gates.target import TOKEN_TTL, Target, TargetError

__all__ = ["gates"]

KEY_VARIABLE = "VOXGATE_GATE_KEY"
ISSUER_KEY_VARIABLE = "VOXGATE_GATE_ISSUER_KEY"
SERVE_VARIABLE = "VOXGATE_GATE_SERVE"
VOXGATE_VARIABLE = "VOXGATE_GATE_VOXGATE"
PHP_KEY_VARIABLE = "VOXGATE_GATE_PHP_KEY"

OWN_ENVIRONMENT = "preview"
"""What the started server runs as: the strictest environment that a laptop can be."""

FAR_ENVIRONMENT = "prod"
"""What a given target is held to unless told otherwise."""


@dataclass(frozen=True, slots=True)
class _Plan:
    checks: tuple[Check, ...]
    environment: str
    strict: bool
    serve: tuple[str, ...]
    voxgate: tuple[str, ...]
    shim: Path
    target: Target | None
    remote_php: str | None
    remote_php_key: str | None = field(repr=False)
    project: Path | None


@click.command()
@click.option(
    "--target", metavar="URL", help="Judge this deployment. Without it, `voxgate serve` is started and judged."
)
@click.option("--only", metavar="GATE", multiple=True, help="Run this gate, or this one check by its id. Repeatable.")
@click.option(
    "--profile",
    type=click.Choice(["full", "readonly"]),
    default="full",
    show_default=True,
    help="readonly runs only what is safe on production.",
)
@click.option("--strict", is_flag=True, help="Count a skipped check as one that fell short.")
@click.option(
    "--key-env",
    metavar="NAME",
    default=KEY_VARIABLE,
    show_default=True,
    help="The environment variable that holds the target's operator key.",
)
@click.option(
    "--issuer-key-env",
    metavar="NAME",
    default=ISSUER_KEY_VARIABLE,
    show_default=True,
    help="The environment variable that holds a key with the issuer role.",
)
@click.option("--origin", metavar="ORIGIN", help="An origin the target allows.")
@click.option("--other-origin", metavar="ORIGIN", help="A second origin the target allows.")
@click.option(
    "--env",
    "environment",
    type=click.Choice(list(TOKEN_TTL)),
    help="What to hold the target to. [default: prod for --target, else preview]",
)
@click.option(
    "--php-shim",
    type=click.Path(file_okay=False, path_type=Path),
    default=SHIM,
    show_default=True,
    help="The folder of the PHP shim, which the data gate starts and judges.",
)
@click.option("--php-base", metavar="URL", help="Judge the seven endpoints of this PHP backend too.")
@click.option(
    "--php-key-env",
    metavar="NAME",
    default=PHP_KEY_VARIABLE,
    show_default=True,
    help="The environment variable that holds the key of --php-base, where it wants one.",
)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The project whose documents the docs gate judges. [default: this directory, where it is one]",
)
@click.option("--report-dir", type=click.Path(file_okay=False, path_type=Path), default=REPORT_DIR, show_default=True)
@click.option(
    "--serve-command",
    metavar="COMMAND",
    envvar=SERVE_VARIABLE,
    show_envvar=True,
    help="What to start instead of this environment's own `voxgate serve`.",
)
@click.option(
    "--voxgate-command",
    metavar="COMMAND",
    envvar=VOXGATE_VARIABLE,
    show_envvar=True,
    help="What to run instead of this environment's own `voxgate`, where a check is about its commands.",
)
@click.option("--json", "as_json", is_flag=True, help="Print report.json on stdout, and nothing else there.")
@click.option("--list", "listing", is_flag=True, help="List the checks and stop.")
def gates(
    target: str | None, only: tuple[str, ...], profile: str, strict: bool, key_env: str, issuer_key_env: str,
    origin: str | None, other_origin: str | None, environment: str | None, php_shim: Path, php_base: str | None,
    php_key_env: str, project: Path | None, report_dir: Path, serve_command: str | None, voxgate_command: str | None, as_json: bool, listing: bool,
) -> None:  # fmt: skip
    """Prove the gateway's promises against a URL.

    Exit 0 when all held, 1 when something fell short, 2 when it could not be judged.
    """
    try:
        checks = select(ALL_CHECKS, only, readonly=profile == "readonly")
    except LookupError as error:
        raise click.UsageError(f"{error.args[0]}; gates are {', '.join(GATES)}, and --list shows the checks") from error
    if listing:
        _print_list(checks, as_json=as_json)
        return
    if php_base is None:  # such a backend is judged where one is named, or one of these checks is
        checks = tuple(check for check in checks if Need.REMOTE_PHP not in check.needs or check.id in only)
    else:
        try:
            Target(php_base)
        except TargetError as error:
            raise click.BadParameter(str(error), param_hint="--php-base") from error
    held_to = environment or (FAR_ENVIRONMENT if target else OWN_ENVIRONMENT)
    if target is None and (origin or other_origin):
        raise click.UsageError("--origin and --other-origin go with --target; a started server has its own")
    given = None
    if target is not None:
        try:
            given = Target(
                target,
                held_to,
                key=os.environ.get(key_env) or None,
                issuer_key=os.environ.get(issuer_key_env) or None,
                origin=origin,
                other_origin=other_origin,
            )
        except TargetError as error:
            raise click.BadParameter(str(error), param_hint="--target") from error
    plan = _Plan(
        checks,
        held_to,
        strict,
        tuple(shlex.split(serve_command)) if serve_command else SERVE,
        tuple(shlex.split(voxgate_command)) if voxgate_command else VOXGATE,
        php_shim,
        given,
        php_base,
        os.environ.get(php_key_env) or None,
        find_project(project),
    )
    console = Console(stderr=as_json)
    with _progress(console) as progress:
        report = asyncio.run(_run(plan, progress))
    written = write_reports(report, report_dir)
    if as_json:
        click.echo(report_json(report), nl=False)
    else:
        print_report(report, console)
        console.print(f"reports: {', '.join(str(path) for path in written)}", style="dim", soft_wrap=True)
    sys.exit(report.exit_code)


async def _run(plan: _Plan, progress: Progress) -> RunReport:
    with stop_event() as stop:
        report = None
        try:
            if plan.target is not None:
                return await _judge(plan, plan.target, stop, progress)
            async with running_target(plan.environment, command=plan.serve, voxgate=plan.voxgate) as started:
                report = await _judge(plan, started, stop, progress)
        except StartFailed as error:
            return errored(
                plan.checks, f"what is judged did not start: {error}", version=__version__, target=_shown(plan)
            )
        except StopFailed as error:
            return errored(
                plan.checks, f"what was judged did not stop: {error}", version=__version__, target=_shown(plan)
            )
        return report


async def _judge(plan: _Plan, target: Target, stop: asyncio.Event, progress: Progress) -> RunReport:
    target = replace(
        target,
        remote_php=plan.remote_php,
        remote_php_key=plan.remote_php_key,
        project=plan.project,
        site_tools=has_site_tools(),
        coverage=has_coverage(plan.project),
    )
    async with _with_shim(plan, target) as ready:
        return await run_checks(
            ready, plan.checks, version=__version__, strict=plan.strict, stop=stop, progress=progress
        )


@asynccontextmanager
async def _with_shim(plan: _Plan, target: Target) -> AsyncIterator[Target]:
    """The target with the PHP shim beside it, or with the reason why there is none."""
    if not any(Need.PHP in check.needs for check in plan.checks):
        yield target
        return
    fault = shim_fault(plan.shim)
    if fault is not None:
        yield replace(target, php_absent=fault)
        return
    async with running_shim(plan.shim) as url:
        yield replace(target, php=url)


def _shown(plan: _Plan) -> str:
    return plan.target.url if plan.target is not None else shlex.join(plan.serve)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    with console.status("starting") as status:
        yield _teller(status.update)


def _teller(show: Callable[[str], None]) -> Progress:
    running: dict[str, None] = {}
    done = 0

    def tell(event: Started | Finished) -> None:
        nonlocal done
        match event:
            case Started(check):
                running[check.id] = None
            case Finished(result, finished, _):
                running.pop(result.id, None)
                done = finished
        show(f"{done} judged; now {', '.join(running) or 'nothing'}")

    return tell


def _print_list(checks: tuple[Check, ...], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "id": check.id,
                "gate": check.gate,
                "promise": check.promise,
                "condition": str(check.condition),
                "severity": check.severity.value,
                "safeOnProduction": check.safe_on_production,
                "docs": check.docs,
            }
            for check in checks
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for check in checks:
        click.echo(f"{check.id}\n    {check.promise}\n    {check.condition}")
