"""Every command of `voxgate`, asked of click itself."""

import inspect
from collections.abc import Iterator

import click

from reference_pages.markdown import code, heading, table
from voxgate_gateway.cli import build_cli

__all__ = ["commands", "every_command"]


def every_command(command: click.Command | None = None, path: str = "voxgate") -> Iterator[tuple[str, click.Command]]:
    """Each command with its whole name, groups before what is in them."""
    command = command or build_cli()
    yield path, command
    for name, member in _members(command):
        yield from every_command(member, f"{path} {name}")


def commands() -> Iterator[str]:
    """A section for each command: what it does, its arguments and its options. A group's says what is in it."""
    yield from heading("Commands")
    yield "Every command takes `--help`. Exit code 0 means that all held, 1 that something fell short, 2 that it could not be"
    yield "judged or was asked wrongly."
    for path, command in every_command():
        yield ""
        yield f"## {path}"
        yield ""
        yield "```text"
        pieces = command.collect_usage_pieces(click.Context(command))
        yield " ".join([path, *pieces])
        yield "```"
        yield ""
        yield from _help(command)
        if members := _members(command):
            yield ""
            rows = ((f"[`{path} {name}`](#{anchor(path, name)})", _first_sentence(each)) for name, each in members)
            yield from table(("command", "what it does"), rows)
        options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
        if options:
            yield ""
            yield from table(("option", "meaning"), (_option(command, option) for option in options))


def anchor(*words: str) -> str:
    """The fragment of a command's section, as the site makes it from the heading."""
    return "-".join(words).replace(" ", "-")


def _members(command: click.Command) -> list[tuple[str, click.Command]]:
    """What is in a group. A group may load its commands late: it is asked for each."""
    if not isinstance(command, click.Group):
        return []
    context = click.Context(command)
    members = ((name, command.get_command(context, name)) for name in command.list_commands(context))
    return [(name, member) for name, member in members if member is not None and not member.hidden]


def _first_sentence(command: click.Command) -> str:
    paragraph = "\n".join(_help(command)).partition("\n\n")[0]
    first, dot, _ = " ".join(paragraph.split()).partition(". ")
    return f"{first}." if dot else first


def _help(command: click.Command) -> Iterator[str]:
    text = inspect.cleandoc(command.help or "").partition("\f")[0]
    yield from text.replace("\b\n", "").splitlines()


def _option(command: click.Command, option: click.Option) -> tuple[str, str]:
    record = option.get_help_record(click.Context(command))
    assert record is not None  # hidden ones have none
    names, told = record
    return code(names), told.replace("<", "&lt;").replace("[", chr(92) + "[")
