"""``voxgate retention``: what is past its time, and its removal."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import click

from voxgate_core import ConfigurationError, SystemClock, VoxgateError
from voxgate_observability.retention.budget import Budget
from voxgate_observability.retention.plan import Amount
from voxgate_observability.retention.policy import RetentionConfig, parse_config
from voxgate_observability.retention.records import StoreFactories
from voxgate_observability.retention.report import PolicyReport, RunReport, Status, metrics_text
from voxgate_observability.retention.run import Mode, run_policies
from voxgate_observability.retention.state import StateFolder, write_textfile
from voxgate_observability.retention.tree import path_faults
from voxgate_observability.retention.units import size_text

__all__ = ["STORE_GROUP", "build_retention", "installed_stores", "retention"]

STORE_GROUP: Final = "voxgate.record_stores"
"""Entry points named ``conversations`` and ``audit``: each gives, without arguments, an async context manager of a
:class:`~voxgate_observability.retention.records.RecordStore`."""

MAX_CONFIG_BYTES: Final = 1024 * 1024
"""Of ``retention.toml``."""

SHOWN: Final = 20
"""Decisions listed for each policy unless told otherwise."""


def installed_stores() -> StoreFactories:
    """The record stores of installed packages, by kind."""
    return {entry.name: entry.load() for entry in entry_points(group=STORE_GROUP)}


class _Group(click.Group):
    """Turns whatever keeps a run from being judged into sentences and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            click.echo(f"retention can't be judged:\n{error}", err=True)
        except VoxgateError as error:
            click.echo(f"retention can't be judged: {error.message}", err=True)
        sys.exit(Status.UNJUDGED)


def build_retention(stores: Callable[[], StoreFactories]) -> click.Group:
    """The commands. ``stores`` is asked for record stores only when a policy needs one."""

    @click.group("retention", cls=_Group)
    def group() -> None:
        """Remove what is past its time: files, conversations, audit lines.

        Exit 0 all held, 1 something fell short, 2 could not be judged.
        """

    @group.command("plan")
    @_common
    def show(config_path: Path | None, data_dir: Path, force_cap: str | None, limit: int, as_json: bool) -> None:
        """Show what would go, and why. Removes and writes nothing."""
        config = _load(config_path, data_dir)
        report = _run(config, stores, Mode(False, force_cap, limit))
        _print(report, as_json)
        sys.exit(report.status)

    @group.command()
    @_common
    @click.option("--apply", "is_applied", is_flag=True, help="Really remove. Without it this is a dry run.")
    @click.option(
        "--textfile",
        envvar="VOXGATE_RETENTION_TEXTFILE",
        show_envvar=True,
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write metrics here, for node_exporter's textfile collector; the name ends in .prom.",
    )
    def run(
        config_path: Path | None, data_dir: Path, force_cap: str | None, limit: int, as_json: bool, is_applied: bool,
        textfile: Path | None,
    ) -> None:  # fmt: skip
        """Do what the plan says, with --apply. Without it nothing is removed.

        Either way a report and an audit line are written to the folder `retention` of the data folder.
        """
        config = _load(config_path, data_dir)
        with StateFolder(os.path.realpath(data_dir)) as state, state.lock():
            report = _run(config, stores, Mode(is_applied, force_cap, limit)).after(state.last_success())
            faults = _keep(report, state, textfile)
        _print(report, as_json)
        for fault in faults:
            click.echo(fault, err=True)
        sys.exit(max(report.status, Status.SHORT if faults else Status.HELD))

    return group


def _common(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object."),
        click.option(
            "--limit", type=click.IntRange(0), default=SHOWN, show_default=True, help="Files named for each policy."
        ),
        click.option("--force-cap", metavar="REASON", callback=_reason, help="Go beyond max_share, for this reason."),
        click.option(
            "--data-dir",
            envvar="VOXGATE_DATA_DIR",
            show_envvar=True,
            default=".voxgate",
            show_default=True,
            type=click.Path(path_type=Path, file_okay=False),
            help="The gateway's data folder: relative paths of policies lie in it.",
        ),
        click.option(
            "--config",
            "config_path",
            envvar="VOXGATE_RETENTION_CONFIG",
            show_envvar=True,
            type=click.Path(path_type=Path, dir_okay=False),
            help="The policies. [default: retention.toml in the data folder]",
        ),
    ):
        command = option(command)
    return command


def _reason(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise click.BadParameter("say why; the reason is kept in the audit line")
    return value


def _load(path: Path | None, data_dir: Path) -> RetentionConfig:
    path = path or data_dir / "retention.toml"
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise ConfigurationError(
            [f"{path} can't be read ({error.strerror}): name the policies with --config"]
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError([f"{path} is not UTF-8: save it as such"]) from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigurationError([f"{path} is larger than {MAX_CONFIG_BYTES} bytes: is it the right file?"])
    config = parse_config(text, data_dir=os.path.realpath(data_dir), home=os.path.realpath(os.path.expanduser("~")))
    faults = path_faults(config.policies)
    if faults:
        raise ConfigurationError(faults)
    return config


def _run(config: RetentionConfig, stores: Callable[[], StoreFactories], mode: Mode) -> RunReport:
    clock = SystemClock()
    budget = Budget(clock, config.time_limit, lambda line: click.echo(line, err=True))
    needs_stores = any(policy.kind != "files" for policy in config.policies)
    with _stopped_by_signals(budget):
        return asyncio.run(run_policies(config, stores() if needs_stores else {}, mode, clock=clock, budget=budget))


@contextmanager
def _stopped_by_signals(budget: Budget) -> Iterator[None]:
    """SIGINT and SIGTERM end the run at the next entry, and the report is still written."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [
        signal.signal(number, lambda caught, _: budget.stop(f"stopped by {signal.Signals(caught).name}"))
        for number in numbers
    ]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _keep(report: RunReport, state: StateFolder, textfile: Path | None) -> list[str]:
    """Write report, audit line and metrics, each even where another can't be. Returns what went wrong."""
    faults = []
    steps: list[tuple[str, Callable[[], None]]] = [
        ("the audit line", lambda: state.append_audit(report.audit_line())),
        ("the report", lambda: state.write_report(report.document())),
    ]
    if textfile is not None:
        steps.append((str(textfile), lambda: write_textfile(textfile, metrics_text(report))))
    for what, step in steps:
        try:
            step()
        except OSError as error:
            faults.append(f"{what} can't be written ({error.strerror})")
    return faults


def _print(report: RunReport, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.document(), ensure_ascii=False))
        return
    for policy in report.policies:
        _print_policy(policy, report.is_applied)
    click.echo("applied: what is told as removed is gone" if report.is_applied else "dry run: nothing was removed")
    if report.stopped is not None:
        click.echo(f"ended early: {report.stopped}", err=True)


def _print_policy(policy: PolicyReport, is_applied: bool) -> None:
    where = "" if policy.path is None else f" in {policy.path}"
    click.echo(f"{policy.name}: {policy.kind}{where}: {policy.status.name.lower()}")
    did, amount = ("removed", policy.removed) if is_applied else ("would go", policy.planned)
    directories = policy.removed_directories if is_applied else policy.planned_directories
    click.echo(f"  {did}: {_amount(amount)} of {_amount(policy.matched)}, {directories:,} empty directories")
    for what, counts in (("because of", policy.reasons), ("left", policy.left)):
        if counts:
            click.echo(f"  {what}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    for decision in policy.decisions:
        click.echo(
            f"    {decision['reason']:<14} {decision['changedAt']}  {size_text(decision['bytes']):>10}"
            f"  {decision['path']}"
        )
    hidden = policy.planned.files - len(policy.decisions)
    if policy.decisions and hidden:
        click.echo(f"    and {hidden:,} more; --limit shows them")
    for line in (*policy.notes, *policy.errors):
        if policy.status is Status.HELD:
            click.echo(f"  {line}")
        else:
            click.echo(f"{policy.name}: {line}", err=True)


def _amount(amount: Amount) -> str:
    return f"{amount.files:,} ({size_text(amount.bytes)})"


retention = build_retention(installed_stores)
