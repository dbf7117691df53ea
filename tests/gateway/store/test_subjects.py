"""Export and erasure: all of one subject, none of another, nothing left in the file, and a line of audit."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from tests.gateway.store.heard import Heard, keep
from voxgate_core import ManualClock
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.subject_digest import subject_digest
from voxgate_gateway.store.subjects import AT_ONCE, Subjects
from voxgate_gateway.store.tables import AuditLine

WORD = "xylophonequartz"


async def audit(database: Database) -> Sequence[Row[Any]]:
    async with database.reading() as connection:
        return (await connection.execute(select(AuditLine.__table__))).all()


async def exported(database: Database, subject: str = "ada") -> list[dict[str, Any]]:
    return [record async for record in Subjects(database, ManualClock(7.0)).export(subject, who="ops")]


async def test_an_export_holds_everything_of_one_subject(database: Database) -> None:
    await keep(
        database, [*Heard("s-2", at=2000.0).whole("b"), *Heard("s-1").whole("a"), *Heard("s-3", "bob").whole("c")]
    )
    records = await exported(database)
    assert [(record["kind"], record.get("sessionId", record["id"])) for record in records] == [
        (kind, session) for session in ("s-1", "s-2") for kind in ("session", "turn", "transcript", "tool")
    ]
    assert [record["text"] for record in records if record["kind"] == "transcript"] == ["a", "b"]
    assert json.loads(json.dumps(records)) == records


async def test_an_export_of_many_rows_misses_none(database: Database) -> None:
    heard = Heard()
    texts = [f"text {number}" for number in range(2 * AT_ONCE + 1)]
    await keep(database, heard.whole(*texts))
    assert [record["text"] for record in await exported(database) if record["kind"] == "transcript"] == texts


async def test_an_export_leaves_a_line_that_names_nobody(database: Database) -> None:
    await keep(database, Heard().whole("a", "b"))
    await exported(database)
    (line,) = await audit(database)
    assert (line.at, line.who, line.what, line.target) == (7.0, "ops", "export", subject_digest("ada"))
    assert (line.sessions, line.turns, line.transcripts, line.tool_calls) == (1, 1, 2, 1)


async def test_an_erasure_takes_one_subject_and_no_other(database: Database) -> None:
    await keep(database, [*Heard("s-1").whole("a"), *Heard("s-2").whole("b"), *Heard("s-3", "bob").whole("c")])
    erasure = await Subjects(database, ManualClock(9000.0)).erase("ada", who="ops")
    assert erasure.counts == {"sessions": 2, "turns": 2, "transcripts": 2, "tool_calls": 2}
    assert erasure.clean
    assert await exported(database) == []
    assert len(await exported(database, "bob")) == 4
    lines = [line for line in await audit(database) if line.what == "erase"]
    assert [(line.who, line.target, line.sessions) for line in lines] == [("ops", subject_digest("ada"), 2)]


def on_disk(folder: Path, word: str) -> list[str]:
    return [path.name for path in folder.iterdir() if word.encode() in path.read_bytes()]


async def test_nothing_that_was_erased_is_left_in_the_files(tmp_path: Path, ready_sqlite: Database) -> None:
    for number in range(40):
        session = f"s-{number}"
        subject = "ada" if number % 2 else "bob"
        await keep(ready_sqlite, Heard(session, subject).whole(f"{WORD} {subject} " * 200, "short"))
    assert on_disk(tmp_path, f"{WORD} ada")
    erasure = await Subjects(ready_sqlite, ManualClock(9000.0)).erase("ada", who="ops")
    assert erasure.clean
    assert not on_disk(tmp_path, f"{WORD} ada")
    assert not on_disk(tmp_path, "s-1ada")
    assert on_disk(tmp_path, f"{WORD} bob")
    await ready_sqlite.close()
    assert not on_disk(tmp_path, f"{WORD} ada")


async def test_a_reader_who_holds_on_is_told_of(tmp_path: Path, ready_sqlite: Database) -> None:
    await keep(ready_sqlite, Heard().whole(WORD))
    other = Database(f"sqlite:///{ready_sqlite.file}")
    async with other.reading() as connection:
        await connection.execute(select(AuditLine.id))
        erasure = await Subjects(ready_sqlite, ManualClock(9000.0)).erase("ada", who="ops")
    assert not erasure.clean
    assert erasure.counts["sessions"] == 1
    again = await Subjects(ready_sqlite, ManualClock(9001.0)).erase("ada", who="ops")
    assert again.clean
    assert not on_disk(tmp_path, WORD)
    await other.close()
