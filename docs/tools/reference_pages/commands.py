"""Every command of `voxgate`, asked of click itself."""

import inspect
from collections.abc import Iterator

import click

from reference_pages.markdown import heading, table
from voxgate_gateway.cli import build_cli

__all__ = ["commands", "every_command"]


def every_command(command: click.Command | None = None, path: str = "voxgate") -> Iterator[tuple[str, click.Command]]:
    """Each command with its whole name, groups before what is in them."""
    command = command or build_cli()
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            assert member is not None
            yield from every_command(member, f"{path} {name}")


def commands() -> Iterator[str]:
    """A section for each command: what it does, its arguments and its options."""
    yield from heading("Commands")
    yield "Every command takes `--help`. Exit code 0 means that all held, 1 that something fell short, 2 that it could not be"
    yield "judged or was asked wrongly."
    for path, command in every_command():
        if isinstance(command, click.Group):
            continue
        yield ""
        yield f"## {path}"
        yield ""
        yield "```text"
        pieces = command.collect_usage_pieces(click.Context(command))
        yield " ".join([path, *pieces])
        yield "```"
        yield ""
        yield from _help(command)
        options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
        if options:
            yield ""
            yield from table(("option", "meaning"), (_option(command, option) for option in options))


def _help(command: click.Command) -> Iterator[str]:
    text = inspect.cleandoc(command.help or "").partition("\f")[0]
    yield from text.replace("\b\n", "").splitlines()


def _option(command: click.Command, option: click.Option) -> tuple[str, str]:
    record = option.get_help_record(click.Context(command))
    assert record is not None  # hidden ones have none
    names, told = record
    return f"`{names}`", told.replace("<", "&lt;").replace("[", chr(92) + "[")
