"""Databases for the tests: each contract is held by SQLite and by a real PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests.gateway.store.cluster import Cluster, ServerMissing, running_cluster
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.schema import upgrade


class Postgres:
    """The cluster of this test run, started when it is first asked for."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._cluster: Cluster | None = None
        self._missing = ""
        self._template = ""
        self._empty = ""
        self._ready = ""

    def cluster(self) -> Cluster:
        """Skips the test where there is none."""
        if self._cluster is None and not self._missing:
            try:
                self._cluster = self._stack.enter_context(running_cluster())
            except ServerMissing as error:
                self._missing = str(error)
        if self._cluster is None:
            pytest.skip(self._missing)
        return self._cluster

    def empty(self) -> str:
        """The URL of a database without a schema. It is the next test's as well: a new one costs a second."""
        cluster = self.cluster()
        if not self._empty:
            self._empty = cluster.database()
        cluster.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", self._empty)
        return cluster.url(self._empty)

    def ready(self) -> str:
        """The URL of a database with the schema and nothing in it; another one when a test has changed its tables."""
        cluster = self.cluster()
        if not self._template:
            self._template = cluster.database()
            asyncio.run(_upgraded(cluster.url(self._template)))
        try:
            if self._ready:
                cluster.execute("TRUNCATE sessions, turns, transcripts, tool_calls, audit", self._ready)
        except asyncpg.UndefinedTableError:
            self._ready = ""
        self._ready = self._ready or cluster.database(self._template)
        return cluster.url(self._ready)


async def _upgraded(url: str) -> None:
    database = Database(url)
    await upgrade(database)
    await database.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with contextlib.ExitStack() as stack:
        yield Postgres(stack)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres) -> str:
    """A database without a schema."""
    return postgres.empty() if request.param == "postgresql" else f"sqlite:///{tmp_path / 'store.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres) -> str:
    """A database with the schema."""
    if request.param == "postgresql":
        return postgres.ready()
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    asyncio.run(_upgraded(url))
    return url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
async def postgres_only(postgres: Postgres) -> AsyncIterator[Database]:
    """A database of PostgreSQL, for what only it refuses."""
    database = Database(await asyncio.to_thread(postgres.ready))
    yield database
    await database.close()


@pytest.fixture
async def ready_sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """A database of SQLite with the schema, for what is about its files."""
    database = Database(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    await upgrade(database)
    yield database
    await database.close()
