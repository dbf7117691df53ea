"""Writes events into the database, each once however often it is tried, and none that was erased meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate_gateway.store.database import Database
from voxgate_gateway.store.rows import Rows, Waiting, rows_of
from voxgate_gateway.store.subject_digest import subject_digest
from voxgate_gateway.store.tables import AuditLine, Session, ToolCall, Transcript, Turn

__all__ = ["BatchWriter"]

Table = type[Session] | type[Turn] | type[Transcript] | type[ToolCall]

_TOTALS: Final = (
    "seconds", "turns", "client_messages", "client_bytes", "upstream_messages", "upstream_bytes",
    "input_tokens", "output_tokens", "total_tokens",
)  # fmt: skip

_STARTED: Final = (
    update(Session)
    .where(Session.id == bindparam("session"))
    .values(
        {
            "origin": func.coalesce(bindparam("new_origin", type_=Session.origin.type), Session.origin),
            "dialect": func.coalesce(bindparam("new_dialect", type_=Session.dialect.type), Session.dialect),
            "model": func.coalesce(bindparam("new_model", type_=Session.model.type), Session.model),
        }
    )
)
_ENDED: Final = (
    update(Session)
    .where(
        Session.id == bindparam("session"),
        or_(Session.ended_event.is_(None), Session.ended_event != bindparam("event")),
    )
    .values(
        {
            "ended_event": bindparam("event"),
            "ended_at": bindparam("at"),
            "close_code": bindparam("new_close_code", type_=Session.close_code.type),
            "reason": bindparam("new_reason", type_=Session.reason.type),
            **{
                name: getattr(Session, name) + bindparam(f"new_{name}", type_=getattr(Session, name).type)
                for name in _TOTALS
            },
        }
    )
)


class BatchWriter:
    """Stores events in ``database``, some at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        build = sqlite.insert if database.is_sqlite else postgresql.insert
        self._inserts: dict[Table, Any] = {
            table: build(table).on_conflict_do_nothing() for table in (Session, Turn, Transcript, ToolCall)
        }

    async def write(self, waiting: Sequence[Waiting]) -> None:
        """All of them in one transaction. Raises ``VoxgateError``: ``unavailable`` to try the same ones again,
        ``invalid_input`` when one of them can't be stored ever."""
        rows = await asyncio.to_thread(rows_of, waiting)  # redaction takes its time, and the loop relays audio
        if not rows.sessions:
            return
        async with self._database.writing() as connection:
            if not self._database.is_sqlite:
                # An erasure locks the table against this: whoever comes second sees what the first one did.
                await connection.execute(text("LOCK TABLE sessions IN ROW EXCLUSIVE MODE"))
            await self._without_erased(connection, rows)
            if rows.sessions:
                await self._write(connection, rows)

    async def _write(self, connection: AsyncConnection, rows: Rows) -> None:
        await self._insert(connection, Session, list(rows.sessions.values()))
        if rows.started:
            await connection.execute(_STARTED, [_renamed(row) for row in rows.started])
        await self._insert(connection, Turn, rows.turns)
        await self._insert(connection, Transcript, rows.transcripts)
        await self._insert(connection, ToolCall, rows.tool_calls)
        for row in rows.ended:
            await connection.execute(_ENDED, _renamed(row))

    async def _insert(self, connection: AsyncConnection, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            await connection.execute(self._inserts[table], rows)

    async def _without_erased(self, connection: AsyncConnection, rows: Rows) -> None:
        """Take out what is from before its subject's erasure, and all that is of a deleted conversation."""
        digests = {session: subject_digest(row["subject"]) for session, row in rows.sessions.items()}
        found = await connection.execute(
            select(AuditLine.what, AuditLine.target, func.max(AuditLine.at))
            .where(
                or_(
                    and_(AuditLine.what == "erase", AuditLine.target.in_(set(digests.values()))),
                    and_(AuditLine.what == "delete", AuditLine.target.in_(set(digests))),
                )
            )
            .group_by(AuditLine.what, AuditLine.target)
        )
        limits = {(what, target): at for what, target, at in found}
        if not limits:
            return

        def is_erased(session: str, at: float) -> bool:
            return ("delete", session) in limits or at <= limits.get(("erase", digests[session]), float("-inf"))

        rows.started = [row for row in rows.started if not is_erased(row["session"], row["at"])]
        rows.ended = [row for row in rows.ended if not is_erased(row["session"], row["at"])]
        rows.turns = [row for row in rows.turns if not is_erased(row["session_id"], row["at"])]
        rows.transcripts = [row for row in rows.transcripts if not is_erased(row["session_id"], row["at"])]
        rows.tool_calls = [row for row in rows.tool_calls if not is_erased(row["session_id"], row["at"])]
        begun: dict[str, float] = {}
        for row in (*rows.started, *rows.turns, *rows.transcripts, *rows.tool_calls, *rows.ended):
            session = row.get("session") or row["session_id"]
            begun[session] = min(row["at"], begun.get(session, row["at"]))
        rows.sessions = {session: {**rows.sessions[session], "started_at": at} for session, at in begun.items()}


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    """Parameters of an update: a column's own name is taken."""
    return {name if name in ("session", "event", "at") else f"new_{name}": value for name, value in row.items()}
