"""Conversations and audit lines as retention sees them: counted and deleted by their age."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import delete, func, select

from voxgate_gateway.settings import load
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.location import locate
from voxgate_gateway.store.schema import require_current
from voxgate_gateway.store.tables import AuditLine, Session

__all__ = ["AgedRows", "audit", "conversations"]


class AgedRows:
    """The retention package's ``RecordStore`` over one table. A conversation takes everything in it along.

    Every method raises ``VoxgateError`` ``unavailable`` as the database does.
    """

    def __init__(self, database: Database, table: Any, at: Any) -> None:
        self._database = database
        self._table = table
        self._at = at

    async def count_older_than(self, moment: float) -> int:
        async with self._database.reading() as connection:
            counted = await connection.execute(select(func.count()).where(self._at < moment))
            return int(counted.scalar_one())

    async def delete_older_than(self, moment: float, limit: int) -> int:
        oldest = select(self._table.id).where(self._at < moment).order_by(self._at, self._table.id).limit(limit)
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(self._table).where(self._table.id.in_(oldest)))
            return int(gone.rowcount)

    async def oldest(self) -> float | None:
        async with self._database.reading() as connection:
            moment = (await connection.execute(select(func.min(self._at)))).scalar_one()
            return None if moment is None else float(moment)


@asynccontextmanager
async def conversations() -> AsyncIterator[AgedRows]:
    """The conversations of the configured database, by when they began. Raises :class:`ConfigurationError`."""
    async with _opened() as database:
        yield AgedRows(database, Session, Session.started_at)


@asynccontextmanager
async def audit() -> AsyncIterator[AgedRows]:
    """Its audit lines. Raises as :func:`conversations`."""
    async with _opened() as database:
        yield AgedRows(database, AuditLine, AuditLine.at)


@asynccontextmanager
async def _opened() -> AsyncIterator[Database]:
    settings = load(os.environ)
    database = Database(locate(settings.data_dir, settings.database_url.get_secret_value()))
    try:
        await require_current(database)
        yield database
    finally:
        await database.close()
