"""Brings the schema up to date, and says whether it is. The revisions are in :mod:`voxgate_gateway.store.migrations`."""

from pathlib import Path
from typing import Final

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from voxgate_core import ConfigurationError
from voxgate_gateway.store.database import Database

__all__ = ["HEAD", "current", "require_current", "upgrade"]

LOCK: Final = 0x766F_7867
"""The advisory lock that keeps two upgrades of one PostgreSQL database apart; any number that nobody else uses."""

_HERE: Final = Path(__file__).parent
_SCRIPTS: Final = ScriptDirectory(str(_HERE), version_locations=[str(_HERE / "migrations")])
_HEADS: Final = _SCRIPTS.get_heads()

HEAD: Final[str] = _HEADS[0]
"""The revision this code works with."""


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Run what is missing, all of it or nothing. The revision before, ``None`` for an empty database, and the one now.

    Raises :class:`ConfigurationError` for a schema this code doesn't know, ``VoxgateError`` as the database does.
    """
    async with database.writing() as connection:
        if not database.is_sqlite:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        return await connection.run_sync(_upgrade)


async def current(database: Database) -> str | None:
    """The revision of the schema, ``None`` when there is none. Raises as the database does."""
    async with database.reading() as connection:
        return await connection.run_sync(_current)


async def require_current(database: Database) -> None:
    """Raises :class:`ConfigurationError`, which names the command, unless the schema is the one this code works with."""
    found = await current(database)
    if found == HEAD:
        return
    if found is None or _is_known(found):
        state = "has no schema yet" if found is None else f"has the old schema {found}, and {HEAD} is needed"
        name = f" {database.file}" if database.file is not None else ""  # of a server, the URL may hold a password
        raise ConfigurationError([f"the conversation store{name} {state}: run `voxgate db upgrade`"])
    raise ConfigurationError([_unknown(found)])


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    found = _current(connection)
    if found is not None and not _is_known(found):
        raise ConfigurationError([_unknown(found)])
    missing = [] if found == HEAD else list(_SCRIPTS.iterate_revisions(HEAD, found or "base"))
    context = MigrationContext.configure(connection)
    with Operations.context(context):
        for revision in reversed(missing):
            _SCRIPTS.get_revision(revision.revision).module.upgrade()
            context.stamp(_SCRIPTS, revision.revision)
    return found, HEAD


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return MigrationContext.configure(connection).get_current_revision()


def _is_known(revision: str) -> bool:
    return any(script.revision == revision for script in _SCRIPTS.walk_revisions())


def _unknown(revision: str) -> str:
    return f"the conversation store has the schema {revision}, which this version doesn't know: run a newer voxgate"
