"""The database of the conversation store: SQLite in the data folder, or PostgreSQL.

Every fault of the database is :class:`VoxgateError` ``unavailable`` out here; what it says is in the log.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiosqlite
import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from voxgate_core import VoxgateError

__all__ = ["Database"]

CONNECTIONS: Final = 4
"""Connections one process keeps at most; whoever needs a fifth one waits."""

READERS: Final = CONNECTIONS - 1
"""Look-ups at a time; the next one waits. Readers, however many, leave one connection to what is being stored."""

CONNECT_SECONDS: Final = 5.0
"""How long a connection may take to be had, from the server or from the others."""

BUSY_SECONDS: Final = 5.0
"""How long SQLite waits while another process writes."""

READ_SECONDS: Final = 5.0
"""How long one look-up may take before it is stopped and refused."""

WAL_LIMIT: Final = 16 * 1024**2
"""Bytes SQLite's log keeps on disk once they are not needed any more."""

_FAULTS: Final = (
    SQLAlchemyError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, aiosqlite.Error,
)  # fmt: skip
_BEGIN: Final = "voxgate_begin"

logger = logging.getLogger("voxgate.store")

# At DEBUG it writes every statement with its values, and those are what people said.
logging.getLogger("aiosqlite").setLevel(logging.WARNING)


class Database:
    """``url`` is one that :func:`locate` gave. Connects when it is first used; :meth:`close` it in the end."""

    def __init__(self, url: str, *, read_seconds: float = READ_SECONDS) -> None:
        self.is_sqlite = url.startswith("sqlite:")
        self.file = Path(url.removeprefix("sqlite://").replace("/", "", 1)) if self.is_sqlite else None
        self._dsn = url
        self._read_seconds = read_seconds
        self._readers = asyncio.Semaphore(READERS)
        self._engine: AsyncEngine | None = None

    def __repr__(self) -> str:
        return f"<Database {self.file or 'postgresql'}>"

    @property
    def engine(self) -> AsyncEngine:
        if self._engine is None:
            self._engine = self._sqlite() if self.is_sqlite else self._postgresql()
        return self._engine

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes. Raises :class:`VoxgateError` ``unavailable``, and ``invalid_input`` for a row
        that the database will never take."""
        with _told():
            async with self.engine.connect() as connection:
                await connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that reads, and is stopped after :data:`READ_SECONDS`. Raises as :meth:`writing`."""
        with _told():
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._readers.acquire()
            try:
                async with self.engine.connect() as connection, connection.begin(), self._limited(connection):
                    yield connection
            finally:
                self._readers.release()

    async def tidy(self) -> bool:
        """Leave no trace of deleted rows in SQLite's files; ``False`` when somebody else held on to the database.

        PostgreSQL needs a ``VACUUM`` of its own for that, which autovacuum does, and is left alone.
        """
        if not self.is_sqlite:
            return True
        try:
            with _told():
                async with self.engine.connect() as connection:
                    await connection.execution_options(**{_BEGIN: ""})
                    await connection.execute(text("VACUUM"))
                    row = (await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))).one()
                    return int(row[0]) == 0
        except VoxgateError:  # the log says which
            return False

    @asynccontextmanager
    async def _limited(self, connection: AsyncConnection) -> AsyncIterator[None]:
        if not self.is_sqlite:
            await connection.execute(text(f"SET LOCAL statement_timeout = {int(self._read_seconds * 1000)}"))
            yield
            return
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, aiosqlite.Connection)
        stopping: list[asyncio.Task[None]] = []
        timer = asyncio.get_running_loop().call_later(
            self._read_seconds, lambda: stopping.append(asyncio.ensure_future(driver.interrupt()))
        )
        try:
            yield
        finally:
            timer.cancel()

    def _sqlite(self) -> AsyncEngine:
        assert self.file is not None
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here, so that nobody else may read it; the log and its index get the same mode from SQLite.
        os.close(os.open(self.file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{self.file}",
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            connect_args={"timeout": BUSY_SECONDS},
        )
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine

    def _postgresql(self) -> AsyncEngine:
        async def connect() -> Any:
            # asyncpg reads the whole of libpq's URL: sockets, sslmode, certificates, several hosts.
            return await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_SECONDS,
                server_settings={"application_name": "voxgate", "idle_in_transaction_session_timeout": "60000"},
            )

        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            pool_pre_ping=True,
        )


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own: those of _begin_sqlite hold
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "foreign_keys=ON",
        f"busy_timeout={int(BUSY_SECONDS * 1000)}",
        "synchronous=NORMAL",
        "secure_delete=ON",
        f"journal_size_limit={WAL_LIMIT}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that will write says so at once: one that finds out later can fail without having waited.
    begin = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)


class _told:
    """Turns what the database raises into what callers may know."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, _FAULTS):
            return
        # The driver's message alone: SQLAlchemy's quotes the statement's parameters, which are what was said.
        cause = getattr(error, "orig", None) or error
        what = {"fault": type(cause).__name__, "code": str(getattr(cause, "sqlstate", None) or "")}
        if _is_refused(error):
            logger.error("the conversation store refused a row", extra=what)
            raise VoxgateError("invalid_input", "the conversation store can't hold this") from None
        logger.warning("the conversation store is not available", extra=what)
        raise VoxgateError("unavailable", "the conversation store is not available now") from None


def _is_refused(error: BaseException) -> bool:
    """Whether the rows are at fault, and would be the next time as well.

    What asyncpg itself can't send reaches SQLAlchemy as an error of no kind; its cause tells.
    """
    cause = getattr(getattr(error, "orig", None), "__cause__", None)
    return isinstance(error, (DataError, IntegrityError)) or isinstance(cause, asyncpg.DataError)
