"""The schema: what the migrations make is what the tables say, and nothing is served on another one."""

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from voxgate_core import ConfigurationError
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.schema import HEAD, current, require_current, upgrade
from voxgate_gateway.store.tables import Base


@pytest.fixture
async def database(empty_url: str) -> Database:
    return Database(empty_url)


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, Base.metadata))


async def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    assert await upgrade(database) == (None, HEAD)
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_an_upgrade_of_what_is_current_changes_nothing(database: Database) -> None:
    await upgrade(database)
    assert await upgrade(database) == (HEAD, HEAD)
    assert await current(database) == HEAD
    await require_current(database)
    await database.close()


async def test_many_processes_that_upgrade_at_once_do_it_once(empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(4)]
    done = await asyncio.gather(*map(upgrade, databases))
    assert sorted(before or "" for before, _ in done) == ["", HEAD, HEAD, HEAD]
    for database in databases:
        await database.close()


async def test_a_database_without_a_schema_names_the_command(database: Database) -> None:
    assert await current(database) is None
    with pytest.raises(ConfigurationError, match="has no schema yet: run `voxgate db upgrade`"):
        await require_current(database)
    await database.close()


async def test_a_schema_of_a_newer_version_is_left_alone(database: Database) -> None:
    await upgrade(database)
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (require_current, upgrade):
        with pytest.raises(ConfigurationError, match="run a newer voxgate"):
            await refused(database)
    assert await current(database) == "9999"
    await database.close()
