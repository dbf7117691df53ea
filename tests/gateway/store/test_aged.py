"""Retention's view of the store: what is old goes, oldest first, and takes everything in it along."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.gateway.store.heard import Heard, keep
from voxgate_core import ConfigurationError, ManualClock
from voxgate_gateway.store.aged import AgedRows, audit, conversations
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.schema import upgrade
from voxgate_gateway.store.subjects import Subjects
from voxgate_gateway.store.tables import AuditLine, Session, Transcript
from voxgate_observability import commands


async def count(database: Database, table: type[Session] | type[Transcript]) -> int:
    async with database.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def test_old_conversations_go_oldest_first_with_all_that_is_in_them(database: Database) -> None:
    sessions = [Heard(f"s-{number}", at=1000.0 * number).whole("word") for number in (3, 1, 2)]
    await keep(database, [event for session in sessions for event in session])
    rows = AgedRows(database, Session, Session.started_at)
    assert await rows.oldest() == 1000.0
    assert await rows.count_older_than(3000.0) == 2
    assert await rows.delete_older_than(3000.0, 1) == 1
    assert await rows.oldest() == 2000.0
    assert (await count(database, Session), await count(database, Transcript)) == (2, 2)
    assert await rows.delete_older_than(3000.0, 10) == 1
    assert await rows.count_older_than(3000.0) == 0


async def test_audit_lines_are_apart(database: Database) -> None:
    await Subjects(database, ManualClock(500.0)).erase("nobody", who="ops")
    rows = AgedRows(database, AuditLine, AuditLine.at)
    assert await rows.oldest() == 500.0
    assert await rows.delete_older_than(501.0, 10) == 1
    assert await rows.oldest() is None


async def test_the_stores_that_retention_finds_are_those_of_the_configured_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXGATE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("VOXGATE_DATABASE_URL", raising=False)
    with pytest.raises(ConfigurationError, match="voxgate db upgrade"):
        async with conversations():
            pytest.fail("a database without a schema was taken")
    database = Database(f"sqlite:///{tmp_path / 'conversations.sqlite3'}")
    await upgrade(database)
    await keep(database, Heard(at=1000.0).whole("word"))
    await database.close()
    assert set(commands.installed_stores()) == {"conversations", "audit"}
    async with conversations() as rows, audit() as lines:
        assert await rows.count_older_than(2000.0) == 1
        assert await lines.count_older_than(2000.0) == 0
