"""``voxgate db`` and ``voxgate data``: they work on the configured database, with or without a running gateway."""

import asyncio
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import click

from voxgate_core import ConfigurationError, SystemClock, VoxgateError
from voxgate_gateway.settings import load
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.location import locate
from voxgate_gateway.store.schema import require_current
from voxgate_gateway.store.schema import upgrade as upgrade_schema
from voxgate_gateway.store.subjects import Erasure, Subjects

__all__ = ["data", "db"]

URL_VARIABLE: Final = "VOXGATE_DATABASE_URL"

T = TypeVar("T")


class _Group(click.Group):
    """Turns a database that can't be used into one line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            click.echo("\n".join(error.faults), err=True)
            sys.exit(2)
        except VoxgateError as error:
            click.echo(f"{error.message}: look at the log line above, and at {URL_VARIABLE}", err=True)
            sys.exit(2)


@click.group(cls=_Group)
def db() -> None:
    """The database of the conversation store. Exit 0 done, 2 it can't be used."""


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print {from, to}.")
def upgrade(as_json: bool) -> None:
    """Bring the schema up to date. Run it before a new version is served in prod."""
    before, after = _with(_database(), upgrade_schema)
    if as_json:
        click.echo(json.dumps({"from": before, "to": after}))
    elif before == after:
        click.echo(f"the schema is {after} already")
    else:
        click.echo(f"the schema was {before or 'not there'} and is {after} now")


@click.group(cls=_Group)
def data() -> None:
    """What the conversation store keeps of one subject.

    Exit 0 done, 1 something is left that must be looked at, 2 the database can't be used.
    """


_sub = click.option("--sub", required=True, help="Whose data: the subject, as tokens name it.")


@data.command()
@_sub
@click.option("--json", "as_json", is_flag=True, help="Print the closing count on standard error as JSON.")
def export(sub: str, as_json: bool) -> None:
    """Print all of it as JSON lines: each conversation, followed by what happened in it."""

    async def print_all(database: Database) -> int:
        await require_current(database)
        lines = 0
        async for record in Subjects(database, SystemClock()).export(sub, who=_who()):
            click.echo(json.dumps(record, ensure_ascii=False))
            lines += 1
        return lines

    lines = _with(_existing(_database()), print_all)
    click.echo(json.dumps({"lines": lines}) if as_json else f"{lines} lines", err=True)


@data.command()
@_sub
@click.option("--json", "as_json", is_flag=True, help="Print {sessions, turns, transcripts, toolCalls, clean}.")
def erase(sub: str, as_json: bool) -> None:
    """Erase all of it, for good, and leave an audit line. Revoke the subject's tokens first: a session that goes on
    is kept from here on as before.

    Exit 1 when the rows are gone, and somebody who held on to the database kept traces of them in its files.
    """

    async def erase_all(database: Database) -> Erasure:
        await require_current(database)
        return await Subjects(database, SystemClock()).erase(sub, who=_who())

    done = _with(_existing(_database()), erase_all)
    counts = {"toolCalls" if name == "tool_calls" else name: count for name, count in done.counts.items()}
    if as_json:
        click.echo(json.dumps({**counts, "clean": done.clean}))
    else:
        click.echo("erased: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if not done.clean:
        click.echo("the rows are gone; traces may be left in the files: run this again when nobody reads", err=True)
        sys.exit(1)


def _database() -> Database:
    settings = load(os.environ)
    return Database(locate(settings.data_dir, settings.database_url.get_secret_value()))


def _existing(database: Database) -> Database:
    """Raises :class:`ConfigurationError` where a look would make an empty file."""
    if database.file is not None and not database.file.exists():
        raise ConfigurationError([f"there is no conversation store at {database.file}: check VOXGATE_DATA_DIR"])
    return database


def _with(database: Database, work: Callable[[Database], Awaitable[T]]) -> T:
    async def run() -> T:
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def _who() -> str:
    """Who runs the command, for the audit; a number where the user has no name."""
    try:
        return f"cli:{getpass.getuser()}"[:256]
    except (KeyError, OSError):
        return f"cli:uid {os.getuid()}"
