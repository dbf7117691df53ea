"""The first revision: it can be undone, and undone it leaves nothing."""

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, inspect

from voxgate_gateway.store.database import Database
from voxgate_gateway.store.migrations import r0001_conversations
from voxgate_gateway.store.tables import Base


def names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def downgrade(connection: Connection) -> None:
    with Operations.context(MigrationContext.configure(connection)):
        r0001_conversations.downgrade()


async def test_it_begins_the_line_of_revisions() -> None:
    assert (r0001_conversations.revision, r0001_conversations.down_revision) == ("0001", None)


async def test_it_makes_every_table_and_takes_them_away_again(database: Database) -> None:
    async with database.writing() as connection:
        assert await connection.run_sync(names) == {*Base.metadata.tables, "alembic_version"}
        await connection.run_sync(downgrade)
        assert await connection.run_sync(names) == {"alembic_version"}
