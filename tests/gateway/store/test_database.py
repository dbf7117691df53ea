"""The database: how it is named and opened, and that neither a fault nor a flood of readers does harm."""

import asyncio
import logging
import stat
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.gateway.store.conftest import Postgres
from tests.gateway.store.heard import Heard, keep
from voxgate_core import ConfigurationError, VoxgateError
from voxgate_gateway.store.database import READERS, Database
from voxgate_gateway.store.location import FILE_NAME, locate


async def test_at_the_most_talkative_level_nothing_that_was_said_is_logged(
    ready_sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await keep(ready_sqlite, Heard("s-1").whole("my diagnosis"))
    assert "my diagnosis" not in caplog.text


def test_without_a_url_it_is_a_file_in_the_data_folder(tmp_path: Path) -> None:
    assert Database(locate(tmp_path, "")).file == tmp_path / FILE_NAME
    assert Database(locate(Path("data"), "")).file == Path("data").absolute() / FILE_NAME


@pytest.mark.parametrize(
    ("url", "located"),
    [
        ("postgres://u:p@h/db", "postgresql://u:p@h/db"),
        ("postgresql+asyncpg://u:p@h:1/db?sslmode=require", "postgresql://u:p@h:1/db?sslmode=require"),
        ("sqlite:///relative.db", "sqlite:///relative.db"),
        ("sqlite+aiosqlite:////var/x.db", "sqlite:////var/x.db"),
    ],
)
def test_the_usual_spellings_are_understood(url: str, located: str) -> None:
    assert locate(Path("."), url) == located


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h/db",
        "hunter2",
        "sqlite://",
        "sqlite:///x?mode=ro#hunter2",
        "http://[hunter2",
        "sqlite://h/x",
    ],
)
def test_other_urls_are_faults_that_show_nothing_of_them(url: str) -> None:
    with pytest.raises(ConfigurationError, match="VOXGATE_DATABASE_URL") as refused:
        locate(Path("."), url)
    assert "hunter2" not in str(refused.value)


def test_a_database_shows_no_password() -> None:
    assert "hunter2" not in repr(Database("postgresql://u:hunter2@h/db"))


async def test_sqlite_is_opened_as_the_store_needs_it(ready_sqlite: Database) -> None:
    wanted = {"journal_mode": "wal", "foreign_keys": 1, "secure_delete": 1, "busy_timeout": 5000, "synchronous": 1}
    async with ready_sqlite.reading() as connection:
        found = {name: await connection.scalar(text(f"PRAGMA {name}")) for name in wanted}
    assert found == wanted


async def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    database = Database(locate(tmp_path / "data", ""))
    async with database.writing() as connection:
        await connection.execute(text("CREATE TABLE x (y)"))
        files = list((tmp_path / "data").iterdir())
        assert len(files) == 3  # the log and its index
        for path in (*files, tmp_path / "data"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    await database.close()


async def write_twice(database: Database, statement: str) -> None:
    async with database.writing() as connection:
        await connection.execute(text(statement))
        await connection.execute(text(statement))


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(VoxgateError) as refused:
        await write_twice(database, "INSERT INTO audit VALUES ('a', 1, 'w', 'x', 't', 0, 0, 0, 0)")
    assert refused.value.code == "invalid_input"
    async with database.reading() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM audit")) == 0


async def test_a_fault_quotes_nothing_that_was_said(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    async with database.writing() as connection:
        await connection.execute(text("DROP TABLE transcripts"))
    with pytest.raises(VoxgateError) as refused:
        await keep(database, Heard().whole("hunter2"))
    assert refused.value.code == "unavailable"
    assert "hunter2" not in caplog.text
    assert "hunter2" not in f"{refused.value!r} {refused.value.__cause__!r}"


@pytest.mark.parametrize("url", ["postgresql://u@127.0.0.1:1/db", "postgresql://u@/db?host=/nonexistent"])
async def test_a_server_that_is_not_there_is_unavailable(url: str) -> None:
    database = Database(url)
    with pytest.raises(VoxgateError) as refused:
        async with database.reading():
            raise AssertionError("connected")
    assert refused.value.code == "unavailable"
    await database.close()


async def test_a_file_that_can_not_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    database = Database(f"sqlite:///{tmp_path}/file/x/store.sqlite3")
    with pytest.raises(VoxgateError) as refused:
        async with database.writing():
            raise AssertionError("opened")
    assert refused.value.code == "unavailable"


async def test_readers_leave_one_connection_to_the_writer(database: Database) -> None:
    async with AsyncExitStack() as readers:
        for _ in range(READERS):
            await readers.enter_async_context(database.reading())
        waiting = asyncio.create_task(read_once(database))
        await keep(database, Heard().whole("hello"))
        assert not waiting.done()
    await waiting


async def read_once(database: Database, statement: str = "SELECT 1") -> None:
    async with database.reading() as connection:
        await connection.execute(text(statement))


async def test_a_look_up_that_takes_too_long_is_stopped(url: str) -> None:
    database = Database(url, read_seconds=0.05)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(VoxgateError) as refused:
        await read_once(database, endless)
    assert refused.value.code == "unavailable"
    await read_once(database)
    await database.close()


async def test_a_server_that_comes_back_is_used_again(postgres: Postgres, postgres_only: Database) -> None:
    await read_once(postgres_only)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'voxgate'"
    await asyncio.to_thread(postgres.cluster().execute, ended)
    await keep(postgres_only, Heard().whole("hello"))
