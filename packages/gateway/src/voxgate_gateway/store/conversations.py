"""Reads and deletes conversations. ``subject`` is whose they must be; ``None`` for anybody's."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate_core import Clock
from voxgate_gateway.store.cursors import Place
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.shapes import item_of, session_of
from voxgate_gateway.store.tables import AuditLine, Session, ToolCall, Transcript, Turn

__all__ = ["CHILDREN", "Conversations", "Page", "audit_line", "count_rows", "lock_out_writers"]

CHILDREN: Final = (Turn, Transcript, ToolCall)
"""What hangs on a session."""

Child = type[Turn] | type[Transcript] | type[ToolCall]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of many, as JSON objects; ``after`` is where the next page begins, ``None`` for the last one."""

    found: Sequence[dict[str, Any]]
    after: Place | None


class Conversations:
    """The conversations in ``database``. Every method raises ``VoxgateError`` ``unavailable`` as the database does."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ping(self) -> None:
        """Ask the database for nothing: whether it answers at all."""
        async with self._database.reading() as connection:
            await connection.execute(select(1))

    async def list(self, subject: str | None, *, q: str | None, after: Place | None, limit: int) -> Page:
        """Newest first. With ``q``, those in which somebody said it, whatever its case.

        Case is that of the database: SQLite knows it of ASCII letters only.
        """
        wanted = select(Session.__table__).order_by(Session.started_at.desc(), Session.id.desc()).limit(limit + 1)
        if subject is not None:
            wanted = wanted.where(Session.subject == subject)
        if q is not None:
            said = Transcript.text.icontains(q, autoescape=True)
            wanted = wanted.where(select(Transcript.event_id).where(Transcript.session_id == Session.id, said).exists())
        if after is not None:
            wanted = wanted.where(tuple_(Session.started_at, Session.id) < after)
        async with self._database.reading() as connection:
            rows = (await connection.execute(wanted)).all()
        last = rows[limit - 1] if len(rows) > limit else None
        return Page([session_of(row) for row in rows[:limit]], None if last is None else (last.started_at, last.id))

    async def read(
        self, session_id: str, subject: str | None, *, after: Place | None, limit: int
    ) -> tuple[dict[str, Any], Page] | None:
        """A conversation and ``limit`` of its items in the order of their time; ``None`` when there is none."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(Session.__table__).where(*_of(session_id, subject)))).one_or_none()
            if row is None:
                return None
            items: list[tuple[Place, dict[str, Any]]] = []
            for table in CHILDREN:
                found = await connection.execute(_items(table, session_id, after, limit + 1))
                items += [((item.at, item.event_id), item_of(table, item)) for item in found]
        items.sort(key=lambda item: item[0])
        page = items[:limit]
        return session_of(row), Page([item for _, item in page], page[-1][0] if len(items) > limit else None)

    async def delete(self, session_id: str, subject: str | None, *, who: str) -> dict[str, int] | None:
        """Delete a conversation for good, and say how many rows that were; ``None`` when there is none.

        One that goes on is not kept from here on.
        """
        async with self._database.writing() as connection:
            await lock_out_writers(self._database, connection)
            counts = await count_rows(connection, *_of(session_id, subject))
            if not counts["sessions"]:
                return None
            await connection.execute(delete(Session).where(Session.id == session_id))
            line = audit_line(self._clock.now(), who=who, what="delete", target=session_id, counts=counts)
            await connection.execute(insert(AuditLine), line)
        return counts


async def lock_out_writers(database: Database, connection: AsyncConnection) -> None:
    """Let what is being written be written first, and nothing more until this transaction ends.

    SQLite does that for whoever writes.
    """
    if not database.is_sqlite:
        await connection.execute(text("LOCK TABLE sessions IN SHARE ROW EXCLUSIVE MODE"))


async def count_rows(connection: AsyncConnection, *of: ColumnElement[bool]) -> dict[str, int]:
    """How many rows there are of the sessions that ``of`` selects, by table."""
    counts = {"sessions": await _count(connection, select(Session.id).where(*of))}
    for table in CHILDREN:
        children = select(table.event_id).join(Session, Session.id == table.session_id).where(*of)
        counts[table.__tablename__] = await _count(connection, children)
    return counts


def audit_line(at: float, *, who: str, what: str, target: str, counts: dict[str, int]) -> dict[str, Any]:
    """A row of the audit."""
    return {"id": f"aud_{secrets.token_hex(16)}", "at": at, "who": who, "what": what, "target": target, **counts}


async def _count(connection: AsyncConnection, rows: Select[Any]) -> int:
    return int(await connection.scalar(select(func.count()).select_from(rows.subquery())) or 0)


def _of(session_id: str, subject: str | None) -> list[ColumnElement[bool]]:
    whose = [] if subject is None else [Session.subject == subject]
    return [Session.id == session_id, *whose]


def _items(table: Child, session_id: str, after: Place | None, limit: int) -> Select[Any]:
    wanted = select(table.__table__).where(table.session_id == session_id)
    if after is not None:
        wanted = wanted.where(tuple_(table.at, table.event_id) > after)
    return wanted.order_by(table.at, table.event_id).limit(limit)
