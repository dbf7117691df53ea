"""``voxgate gates``: judge a running gateway, or start one and judge that."""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import click
from rich.console import Console

from voxgate_gates import __version__
from voxgate_gates.assumed import assumption_note
from voxgate_gates.check import Check, Need
from voxgate_gates.checks import ALL_CHECKS
from voxgate_gates.configuration import FILE, MAX_BYTES, Configuration, ConfigurationError, parse_configuration
from voxgate_gates.coverage import has_coverage
from voxgate_gates.harness import SERVE, VOXGATE, StartFailed, StopFailed, running_target
from voxgate_gates.interrupt import stop_event
from voxgate_gates.php import SHIM, running_shim, shim_fault
from voxgate_gates.plan import (
    FAR_ENVIRONMENT,
    ISSUER_KEY_VARIABLE,
    KEY_VARIABLE,
    OWN_ENVIRONMENT,
    PHP_KEY_VARIABLE,
    Options,
    Plan,
    PlanError,
    made_plan,
)
from voxgate_gates.probe import why_silent
from voxgate_gates.project import find_project, has_site_tools
from voxgate_gates.report.document import report_json
from voxgate_gates.report.folder import REPORT_DIR, write_reports
from voxgate_gates.report.terminal import print_report
from voxgate_gates.result import RunReport
from voxgate_gates.runner import Finished, Progress, Started, errored, run_checks
from voxgate_gates.target import TOKEN_TTL, Target
from voxgate_gates.waivers import apply_waivers

__all__ = ["gates"]

SERVE_VARIABLE = "VOXGATE_GATE_SERVE"
VOXGATE_VARIABLE = "VOXGATE_GATE_VOXGATE"


@dataclass(frozen=True, slots=True)
class _Tools:
    """The commands that are run, and the folder whose documents are judged."""

    serve: tuple[str, ...]
    voxgate: tuple[str, ...]
    project: Path | None


@click.command()
@click.option(
    "--target", metavar="URL", help="Judge this deployment. Without it, `voxgate serve` is started and judged."
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read routes, budgets, waivers and more from this file; an option given here wins. [default: gates.toml, where it is]",
)
@click.option("--only", metavar="GATE", multiple=True, help="Run this gate, or this one check by its id. Repeatable.")
@click.option(
    "--profile",
    type=click.Choice(["full", "readonly"]),
    help="readonly runs only what is safe on production. [default: full]",
)
@click.option("--strict", is_flag=True, help="Count a skipped check as one that fell short.")
@click.option(
    "--key-env",
    metavar="NAME",
    help=f"The environment variable that holds the target's operator key. [default: {KEY_VARIABLE}]",
)
@click.option(
    "--issuer-key-env",
    metavar="NAME",
    help=f"The environment variable that holds a key with the issuer role. [default: {ISSUER_KEY_VARIABLE}]",
)
@click.option("--origin", metavar="ORIGIN", help="An origin the target allows.")
@click.option("--other-origin", metavar="ORIGIN", help="A second origin the target allows.")
@click.option(
    "--env",
    "environment",
    type=click.Choice(list(TOKEN_TTL)),
    help=f"What to hold the target to. [default: {FAR_ENVIRONMENT} for --target, else {OWN_ENVIRONMENT}]",
)
@click.option(
    "--php-shim",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"The folder of the PHP shim, which the data gate starts and judges. [default: {SHIM}]",
)
@click.option("--php-base", metavar="URL", help="Judge the seven endpoints of this PHP backend too.")
@click.option(
    "--php-key-env",
    metavar="NAME",
    help=f"The environment variable that holds the key of --php-base, where it wants one. [default: {PHP_KEY_VARIABLE}]",
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
    target: str | None, config: Path | None, only: tuple[str, ...], profile: str | None, strict: bool,
    key_env: str | None, issuer_key_env: str | None, origin: str | None, other_origin: str | None,
    environment: str | None, php_shim: Path | None, php_base: str | None, php_key_env: str | None,
    project: Path | None, report_dir: Path, serve_command: str | None, voxgate_command: str | None,
    as_json: bool, listing: bool,
) -> None:  # fmt: skip
    """Prove the gateway's promises against a URL.

    Exit 0 when all held, 1 when something fell short, 2 when it could not be judged.
    """
    options = Options(
        target=target, only=only, profile=profile, strict=strict, key_env=key_env, issuer_key_env=issuer_key_env,
        origin=origin, other_origin=other_origin, environment=environment, php_shim=php_shim, php_base=php_base,
        php_key_env=php_key_env, names_file=config is not None,
    )  # fmt: skip
    file = config or (FILE if FILE.is_file() else None)
    try:
        plan = made_plan(ALL_CHECKS, options, _configuration(file), os.environ, file.parent if file else Path())
    except PlanError as error:
        if error.option is not None:
            raise click.BadParameter(str(error), param_hint=error.option) from error
        raise click.UsageError(str(error)) from error
    if listing:
        _print_list(plan.checks, as_json=as_json)
        return
    tools = _Tools(
        tuple(shlex.split(serve_command)) if serve_command else SERVE,
        tuple(shlex.split(voxgate_command)) if voxgate_command else VOXGATE,
        find_project(project),
    )
    console = Console(stderr=as_json)
    if file is not None:
        console.print(f"settings: {file}", style="dim", soft_wrap=True)
    with _progress(console) as progress:
        report = asyncio.run(_run(plan, tools, progress))
    report = apply_waivers(report, plan.waivers, _today())
    written = write_reports(report, report_dir)
    if as_json:
        click.echo(report_json(report), nl=False)
    else:
        print_report(report, console)
        console.print(f"reports: {', '.join(str(path) for path in written)}", style="dim", soft_wrap=True)
    sys.exit(report.exit_code)


def _configuration(file: Path | None) -> Configuration:
    """What a file says; raises ``click.BadParameter`` where it can't be followed."""
    if file is None:
        return Configuration()
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigurationError(f"it is larger than {MAX_BYTES} bytes")
        return parse_configuration(content.decode("utf-8"), [check.id for check in ALL_CHECKS], _today())
    except (OSError, UnicodeDecodeError, ConfigurationError) as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="--config") from error


def _today() -> date:
    return date.today()


async def _run(plan: Plan, tools: _Tools, progress: Progress) -> RunReport:
    shown = plan.target.url if plan.target is not None else shlex.join(tools.serve)
    with stop_event() as stop:
        report = None
        try:
            if plan.target is not None:
                silent = await why_silent(plan.target) if _is_asked(plan.target, plan.checks) else ""
                if silent:
                    reason = f"nothing answers at {shown} ({silent}): start it, or correct --target"
                    return errored(plan.checks, reason, version=__version__, target=shown)
                return await _judge(plan, tools, plan.target, stop, progress)
            async with running_target(plan.environment, command=tools.serve, voxgate=tools.voxgate) as started:
                report = await _judge(plan, tools, started, stop, progress)
        except StartFailed as error:
            return errored(
                plan.checks, f"the gateway to be judged did not start: {error}", version=__version__, target=shown
            )
        except StopFailed as error:
            return errored(plan.checks, f"what was judged did not stop: {error}", version=__version__, target=shown)
        return report


def _is_asked(target: Target, checks: tuple[Check, ...]) -> bool:
    """Whether one of the checks will ask the target itself."""
    elsewhere = {Need.PROJECT, Need.PHP, Need.REMOTE_PHP, Need.COMMAND}
    return any(not check.needs & elsewhere and not target.lacks(check.needs) for check in checks)


async def _judge(plan: Plan, tools: _Tools, target: Target, stop: asyncio.Event, progress: Progress) -> RunReport:
    target = replace(
        target,
        routes=plan.routes,
        budgets=plan.budgets,
        remote_php=plan.remote_php,
        remote_php_key=plan.remote_php_key,
        project=tools.project,
        site_tools=has_site_tools(),
        coverage=has_coverage(tools.project),
    )
    async with _with_shim(plan, target) as ready:
        report = await run_checks(
            ready, plan.checks, version=__version__, strict=plan.strict, stop=stop, progress=progress
        )
        is_far = plan.target is not None and plan.is_assumed and not stop.is_set()
        note = await assumption_note(report, ready, plan.checks) if is_far else ""
        return replace(report, notes=(*report.notes, note)) if note else report


@asynccontextmanager
async def _with_shim(plan: Plan, target: Target) -> AsyncIterator[Target]:
    """The target with the PHP shim beside it, or with the reason why there is none."""
    if not any(Need.PHP in check.needs for check in plan.checks):
        yield target
        return
    shim = plan.shim or SHIM
    fault = shim_fault(shim)
    if fault is not None:
        yield replace(target, php_absent=fault)
        return
    async with running_shim(shim) as url:
        yield replace(target, php=url)


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
