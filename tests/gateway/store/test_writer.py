"""Writing: each event once, however often it is tried, and nothing that was erased."""

import asyncio

import pytest
from sqlalchemy import func, select

from tests.gateway.store.heard import Heard, keep
from voxgate_core import Event, ManualClock, VoxgateError
from voxgate_gateway.store.conversations import Conversations
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.modes import StoreMode
from voxgate_gateway.store.rows import Waiting
from voxgate_gateway.store.subjects import Subjects
from voxgate_gateway.store.tables import Session, ToolCall, Transcript, Turn
from voxgate_gateway.store.writer import BatchWriter


async def counts(database: Database) -> list[int]:
    async with database.reading() as connection:
        tables = (Session, Turn, Transcript, ToolCall)
        return [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


async def session(database: Database, session_id: str = "s-1") -> dict[str, object]:
    found = await Conversations(database, ManualClock()).read(session_id, None, after=None, limit=10)
    assert found is not None
    return found[0]


async def test_a_whole_session_is_stored_as_it_was_told(database: Database) -> None:
    await keep(database, Heard().whole("hello", "bye"))
    assert await counts(database) == [1, 1, 2, 1]
    assert await session(database) == {
        "id": "s-1", "sub": "ada", "mode": "full", "origin": "https://app.example", "dialect": "native", "model": "m-1",
        "startedAt": 1000.0, "endedAt": 1005.0, "closeCode": 1000, "reason": "client_closed", "seconds": 2.5,
        "turns": 1, "clientMessages": 3, "clientBytes": 40, "upstreamMessages": 5, "upstreamBytes": 60,
        "usage": {"inputTokens": 10, "outputTokens": 20, "totalTokens": 30},
    }  # fmt: skip


async def test_the_same_events_again_change_nothing(database: Database) -> None:
    events = Heard().whole("hello")
    await keep(database, events)
    before = await session(database)
    await keep(database, events)
    assert await counts(database) == [1, 1, 1, 1]
    assert await session(database) == before


async def test_one_event_at_a_time_makes_the_same(database: Database) -> None:
    for event in Heard().whole("hello"):
        await keep(database, [event])
    assert await counts(database) == [1, 1, 1, 1]
    assert (await session(database))["turns"] == 1


async def test_a_session_whose_start_was_dropped_has_a_row_all_the_same(database: Database) -> None:
    await keep(database, [Heard().said("hello")])
    assert await session(database) == {
        "id": "s-1", "sub": "ada", "mode": "full", "startedAt": 1000.0, "seconds": 0.0, "turns": 0,
        "clientMessages": 0, "clientBytes": 0, "upstreamMessages": 0, "upstreamBytes": 0,
        "usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
    }  # fmt: skip


async def test_two_connections_of_one_session_add_up(database: Database) -> None:
    first, second = Heard(), Heard(at=2000.0)
    await keep(database, [*first.whole("a"), *second.whole("b")])
    found = await session(database)
    assert (found["turns"], found["clientBytes"], found["seconds"]) == (2, 80, 5.0)
    assert found["usage"] == {"inputTokens": 20, "outputTokens": 40, "totalTokens": 60}
    assert found["endedAt"] == 2004.0


async def test_nothing_to_keep_opens_no_transaction(database: Database) -> None:
    await keep(database, Heard().whole("hello"), StoreMode.OFF)
    assert await counts(database) == [0, 0, 0, 0]


async def test_what_was_said_before_an_erasure_is_not_written_after_it(database: Database) -> None:
    heard = Heard(at=1000.0)
    await keep(database, [heard.started()])
    clock = ManualClock(1002.5)
    await Subjects(database, clock).erase("ada", who="ops")
    late = [heard.said("before"), heard.said("before too"), heard.said("after"), heard.ended()]
    await keep(database, late)
    async with database.reading() as connection:
        assert list(await connection.scalars(select(Transcript.text))) == ["after"]
    assert (await session(database))["startedAt"] == 1003.0


async def test_a_session_all_of_which_was_erased_does_not_come_back(database: Database) -> None:
    await Subjects(database, ManualClock(5000.0)).erase("ada", who="ops")
    await keep(database, [*Heard().whole("hello"), *Heard("s-2", "bob").whole("hi")])
    assert await counts(database) == [1, 1, 1, 1]
    assert (await session(database, "s-2"))["sub"] == "bob"


async def test_a_deleted_conversation_stays_deleted_while_it_goes_on(database: Database) -> None:
    heard = Heard()
    await keep(database, [heard.started()])
    assert await Conversations(database, ManualClock(1.0)).delete("s-1", "ada", who="ada")
    await keep(database, [heard.said("more"), heard.ended()])
    assert await counts(database) == [0, 0, 0, 0]


async def test_writing_and_erasing_at_once_leaves_nothing_from_before(database: Database) -> None:
    writer = BatchWriter(database)
    heard = [Heard(f"s-{number}") for number in range(8)]
    batches = [[Waiting(event, StoreMode.FULL) for event in one.whole("hello")] for one in heard]
    erasing = Subjects(database, ManualClock(9000.0)).erase("ada", who="ops")
    await asyncio.gather(*(writer.write(batch) for batch in batches[:4]), erasing)
    await asyncio.gather(*(writer.write(batch) for batch in batches[4:]))
    assert await counts(database) == [0, 0, 0, 0]


async def test_a_row_that_can_never_be_stored_is_told_from_a_database_that_is_away(postgres_only: Database) -> None:
    heard = Heard()
    impossible = heard.event("voice.session.ended", code=2**40)
    with pytest.raises(VoxgateError) as refused:
        await keep(postgres_only, [heard.started(), impossible])
    assert refused.value.code == "invalid_input"
    assert await counts(postgres_only) == [0, 0, 0, 0]


async def test_events_of_other_tables_order_make_no_orphans(database: Database) -> None:
    events: list[Event] = [Heard("s-9").turned(), Heard("s-8").called(), Heard("s-7").ended()]
    await keep(database, events)
    assert await counts(database) == [3, 1, 0, 1]
