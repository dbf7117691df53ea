"""The ``voxgate`` command: every package adds its own through the entry-point group ``voxgate.commands``."""

import json
import sys
from importlib.metadata import EntryPoint, entry_points

import click

from voxgate_core import ConfigurationError, VoxgateError
from voxgate_gateway.version import VERSION
from voxgate_gateway.workers import WorkersFailed

__all__ = ["COMMAND_GROUP", "build_cli", "main"]

COMMAND_GROUP = "voxgate.commands"


class _InstalledCommands(click.Group):
    """Commands of installed packages, each imported only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_installed())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry_point = _installed().get(cmd_name)
        if entry_point is None:
            return None
        command: click.Command = entry_point.load()
        return command


def build_cli() -> click.Group:
    """The command tree of the packages that are installed."""
    group = _InstalledCommands(
        "voxgate",
        help="A realtime voice gateway that proves its promises.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    click.version_option(VERSION, prog_name="voxgate")(group)
    return group


def main(arguments: list[str] | None = None, *, cli: click.Group | None = None) -> None:
    """Run the command line. Exit 0 all held, 1 something fell short, 2 could not be judged.

    ``cli`` is the command tree, if not that of the installed packages.
    """
    try:
        (cli or build_cli()).main(arguments, prog_name="voxgate")
    except ConfigurationError as error:
        click.echo(f"voxgate can't go on until this is mended:\n{error}", err=True)
        sys.exit(2)
    except WorkersFailed as error:
        click.echo(f"voxgate cannot start: {error.reason}", err=True)
        sys.exit(error.status)
    except VoxgateError as error:
        details = "" if error.details is None else f" {json.dumps(error.details, ensure_ascii=False)}"
        click.echo(f"voxgate: {error.message}{details}", err=True)
        sys.exit(1)


def _installed() -> dict[str, EntryPoint]:
    return {entry_point.name: entry_point for entry_point in entry_points(group=COMMAND_GROUP)}
