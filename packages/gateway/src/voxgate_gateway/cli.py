"""The ``voxgate`` command: every package adds its own through the entry-point group ``voxgate.commands``."""

import sys
from importlib.metadata import entry_points

import click

from voxgate_core import ConfigurationError
from voxgate_gateway.version import VERSION

__all__ = ["COMMAND_GROUP", "build_cli", "main"]

COMMAND_GROUP = "voxgate.commands"


def build_cli() -> click.Group:
    """The command tree of the packages that are installed."""
    group = click.Group(
        "voxgate",
        help="A realtime voice gateway that proves its promises.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    click.version_option(VERSION, prog_name="voxgate")(group)
    for entry_point in sorted(entry_points(group=COMMAND_GROUP), key=lambda found: found.name):
        group.add_command(entry_point.load(), entry_point.name)
    return group


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. Exit 0 all held, 1 something fell short, 2 could not be judged."""
    try:
        build_cli().main(arguments, prog_name="voxgate")
    except ConfigurationError as error:
        click.echo(f"voxgate cannot start with this configuration:\n{error}", err=True)
        sys.exit(2)
