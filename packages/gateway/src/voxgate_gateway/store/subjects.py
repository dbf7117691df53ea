"""Everything of one subject: exported, or erased. Both leave an audit line."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, delete, insert, select, tuple_

from voxgate_core import Clock
from voxgate_gateway.store.conversations import CHILDREN, audit_line, count_rows, lock_out_writers
from voxgate_gateway.store.cursors import Place
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.shapes import item_of, session_of
from voxgate_gateway.store.subject_digest import subject_digest
from voxgate_gateway.store.tables import AuditLine, Session

__all__ = ["Erasure", "Subjects"]

AT_ONCE: Final = 200
"""Rows read at a time: with texts of 16,384 characters, a few megabytes."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """``counts`` are the rows that are gone, by table. ``clean``: no trace of them is left in SQLite's files."""

    counts: dict[str, int]
    clean: bool


class Subjects:
    """What ``database`` keeps of a subject. Every method raises ``VoxgateError`` ``unavailable`` as the database does."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def export(self, subject: str, *, who: str) -> AsyncIterator[dict[str, Any]]:
        """Each conversation, oldest first, followed by its items, as JSON objects with a ``kind``.

        An item names its conversation in ``sessionId``. The audit line is written at the end of a whole export.
        """
        counts = {"sessions": 0, **{table.__tablename__: 0 for table in CHILDREN}}
        sessions = select(Session.__table__).where(Session.subject == subject)
        async for row in self._all(sessions, Session.started_at, Session.id):
            counts["sessions"] += 1
            yield {"kind": "session", **session_of(row)}
            for table in CHILDREN:
                items = select(table.__table__).where(table.session_id == row.id)
                async for item in self._all(items, table.at, table.event_id):
                    counts[table.__tablename__] += 1
                    yield {**item_of(table, item), "sessionId": row.id}
        async with self._database.writing() as connection:
            await connection.execute(insert(AuditLine), self._line(subject, who, "export", counts))

    async def erase(self, subject: str, *, who: str) -> Erasure:
        """Delete every row, and what SQLite's files still show of them. What a gateway has not written yet and
        happened before is not written any more."""
        async with self._database.writing() as connection:
            await lock_out_writers(self._database, connection)
            counts = await count_rows(connection, Session.subject == subject)
            await connection.execute(delete(Session).where(Session.subject == subject))
            await connection.execute(insert(AuditLine), self._line(subject, who, "erase", counts))
        return Erasure(counts, await self._database.tidy())

    def _line(self, subject: str, who: str, what: str, counts: dict[str, int]) -> dict[str, Any]:
        return audit_line(self._clock.now(), who=who, what=what, target=subject_digest(subject), counts=counts)

    async def _all(self, wanted: Select[Any], at: Any, name: Any) -> AsyncIterator[Any]:
        """All rows in the order of ``at`` and ``name``, a page and a transaction at a time."""
        after: Place | None = None
        while True:
            page = wanted if after is None else wanted.where(tuple_(at, name) > after)
            async with self._database.reading() as connection:
                rows = (await connection.execute(page.order_by(at, name).limit(AT_ONCE))).all()
            for row in rows:
                yield row
            if len(rows) < AT_ONCE:
                return
            last = rows[-1]._mapping
            after = last[at.key], last[name.key]
