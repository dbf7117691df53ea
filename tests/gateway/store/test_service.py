"""The store as a gateway opens it: the schema, recording, stopping, a killed process, and a server that hangs."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from tests.gateway.store.conftest import Postgres
from tests.gateway.store.heard import Heard, grant_of
from voxgate_core import ConfigurationError, ManualClock, VoxgateError
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.modes import StoreMode
from voxgate_gateway.store.recorder import Recorder
from voxgate_gateway.store.schema import upgrade
from voxgate_gateway.store.service import ConversationStore, open_store
from voxgate_gateway.store.tables import Session, Transcript
from voxgate_gateway.store.writer import BatchWriter

CLOCK = ManualClock(9000.0)


async def listed(store: ConversationStore) -> list[str]:
    return [found["id"] for found in (await store.conversations.list(None, q=None, after=None, limit=50)).found]


async def test_what_is_heard_can_be_read_and_erased(empty_url: str) -> None:
    async with open_store(empty_url, StoreMode.REDACTED, CLOCK, upgrading=True) as store:
        store.recorder.opened(grant_of("s-1"))
        for event in Heard().whole("write to ada@example.com"):
            store.recorder.publish(event)
        await store.recorder.flushed()
        read = await store.conversations.read("s-1", "ada", after=None, limit=10)
        assert read is not None
        assert read[1].found[0]["text"] == "write to [email]"
        assert (await store.subjects.erase("ada", who="ops")).counts["sessions"] == 1
        assert await listed(store) == []


async def test_what_was_heard_last_is_written_before_the_end(url: str) -> None:
    async with open_store(url, StoreMode.FULL, CLOCK, upgrading=False) as store:
        store.recorder.opened(grant_of("s-1"))
        for event in Heard().whole("hello"):
            store.recorder.publish(event)
    async with open_store(url, StoreMode.FULL, CLOCK, upgrading=False) as store:
        assert await listed(store) == ["s-1"]


async def test_an_old_schema_is_refused_with_the_command_that_helps(empty_url: str) -> None:
    with pytest.raises(ConfigurationError, match="voxgate db upgrade"):
        async with open_store(empty_url, StoreMode.FULL, CLOCK, upgrading=False):
            raise AssertionError("opened")


async def test_a_database_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(VoxgateError) as refused:
        async with open_store("postgresql://u@127.0.0.1:1/x", StoreMode.FULL, CLOCK, upgrading=True):
            raise AssertionError("opened")
    assert refused.value.code == "unavailable"


async def test_a_server_that_hangs_costs_the_relay_nothing_and_no_event(
    postgres: Postgres, postgres_only: Database
) -> None:
    cluster = postgres.cluster()
    retried = asyncio.Event()

    async def pause(_: float) -> None:
        if not retried.is_set():
            cluster.resume()
            retried.set()

    recorder = Recorder(BatchWriter(postgres_only).write, StoreMode.FULL, pause=pause, write_seconds=0.3)
    heard = Heard()
    recorder.opened(grant_of("s-1"))
    async with recorder.running(flush_seconds=60):
        recorder.publish(heard.started())
        await recorder.flushed()
        cluster.pause()
        try:
            begun = time.thread_time()
            for _ in range(100):
                recorder.publish(heard.said("hello"))
            assert time.thread_time() - begun < 0.1
            await retried.wait()
        finally:
            cluster.resume()
        await recorder.flushed()
    assert recorder.dropped == 0
    async with postgres_only.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(Transcript)) == 100


async def test_a_file_that_somebody_else_writes_costs_no_event(ready_sqlite: Database) -> None:
    waited = asyncio.Event()

    async def pause(_: float) -> None:
        waited.set()

    recorder = Recorder(BatchWriter(ready_sqlite).write, StoreMode.FULL, pause=pause, write_seconds=0.2)
    recorder.opened(grant_of("s-1"))
    other = Database(f"sqlite:///{ready_sqlite.file}")
    async with recorder.running():
        async with other.writing():
            for event in Heard().whole("hello"):
                recorder.publish(event)
            await waited.wait()
            assert recorder.written == 0
        await recorder.flushed()
    assert (recorder.written, recorder.dropped) == (5, 0)
    await other.close()


WRITES_FOR_EVER = """
import asyncio, sys
from tests.gateway.store.heard import Heard, keep
from voxgate_gateway.store.database import Database

async def main():
    database = Database(sys.argv[1])
    number = 0
    while True:
        await keep(database, Heard(f"s-{number}").whole("word " * 500, "word " * 500))
        number += 1
        if number == 3:
            print("writing", flush=True)

asyncio.run(main())
"""


async def test_a_process_killed_while_it_writes_leaves_whole_conversations(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    database = Database(url)
    await upgrade(database)
    await asyncio.to_thread(_write_and_be_killed, url)
    async with database.reading() as connection:
        assert await connection.scalar(text("PRAGMA integrity_check")) == "ok"
        sessions = await connection.scalar(select(func.count()).select_from(Session)) or 0
        said = await connection.scalar(select(func.count()).select_from(Transcript)) or 0
        ended = await connection.scalar(select(func.count()).where(Session.ended_at.is_not(None))) or 0
    assert sessions >= 3
    assert (said % 2, ended) == (0, sessions)
    await database.close()


def _write_and_be_killed(url: str) -> None:
    command = [sys.executable, "-c", WRITES_FOR_EVER, url]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=30) == -signal.SIGKILL
