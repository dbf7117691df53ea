"""``voxgate db`` and ``voxgate data``: without a gateway, on either database, with exit codes that can be trusted."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.gateway.store.heard import Heard, keep
from voxgate_gateway.store.commands import URL_VARIABLE, data, db
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.location import FILE_NAME
from voxgate_gateway.store.schema import HEAD

WORD = "xylophonequartz"


def run(command: Sequence[str], url: str, data_dir: Path) -> Result:
    group = {"db": db, "data": data}[command[0]]
    environment = {URL_VARIABLE: url, "VOXGATE_DATA_DIR": str(data_dir)}
    return CliRunner(env=environment).invoke(group, list(command[1:]))


def filled(url: str) -> None:
    async def fill() -> None:
        database = Database(url)
        await keep(database, [*Heard("s-1").whole(WORD), *Heard("s-2", "bob").whole("hi")])
        await database.close()

    asyncio.run(fill())


def test_the_schema_is_upgraded_once(empty_url: str, tmp_path: Path) -> None:
    first = run(["db", "upgrade", "--json"], empty_url, tmp_path)
    assert (first.exit_code, json.loads(first.output)) == (0, {"from": None, "to": HEAD})
    again = run(["db", "upgrade"], empty_url, tmp_path)
    assert (again.exit_code, again.output) == (0, f"the schema is {HEAD} already\n")


def test_an_upgrade_says_what_it_did(tmp_path: Path) -> None:
    done = run(["db", "upgrade"], "", tmp_path)
    assert done.output == f"the schema was not there and is {HEAD} now\n"
    assert (tmp_path / FILE_NAME).exists()


def test_an_export_is_json_lines_of_one_subject(url: str, tmp_path: Path) -> None:
    filled(url)
    done = run(["data", "export", "--sub", "ada", "--json"], url, tmp_path)
    assert done.exit_code == 0
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["kind"] for record in records] == ["session", "turn", "transcript", "tool"]
    assert json.loads(done.stderr) == {"lines": 4}
    assert WORD in done.stdout
    assert run(["data", "export", "--sub", "eve"], url, tmp_path).stderr == "0 lines\n"


def test_an_erasure_erases_really(url: str, tmp_path: Path) -> None:
    filled(url)
    done = run(["data", "erase", "--sub", "ada", "--json"], url, tmp_path)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"sessions": 1, "turns": 1, "transcripts": 1, "toolCalls": 1, "clean": True}
    assert not [path for path in tmp_path.iterdir() if path.is_file() and WORD.encode() in path.read_bytes()]
    assert run(["data", "export", "--sub", "ada"], url, tmp_path).stdout == ""
    assert run(["data", "export", "--sub", "bob"], url, tmp_path).stderr == "4 lines\n"
    again = run(["data", "erase", "--sub", "ada"], url, tmp_path)
    assert (again.exit_code, again.output) == (0, "erased: 0 sessions, 0 turns, 0 transcripts, 0 toolCalls\n")


def test_traces_that_had_to_stay_are_exit_1(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    run(["db", "upgrade"], url, tmp_path)
    filled(url)

    async def erase_while_read() -> Result:
        database = Database(url)
        async with database.reading() as connection:
            await connection.exec_driver_sql("SELECT count(*) FROM sessions")
            done = await asyncio.to_thread(run, ["data", "erase", "--sub", "ada"], url, tmp_path)
        await database.close()
        return done

    done = asyncio.run(erase_while_read())
    assert done.exit_code == 1
    assert "run this again" in done.stderr


@pytest.mark.parametrize("command", [["data", "export", "--sub", "ada"], ["data", "erase", "--sub", "ada"]])
def test_a_database_that_can_not_be_used_is_exit_2(command: list[str], empty_url: str, tmp_path: Path) -> None:
    absent = run(command, "", tmp_path / "none")
    assert (absent.exit_code, "there is no conversation store" in absent.stderr) == (2, True)
    assert not (tmp_path / "none").exists()
    away = run(command, "postgresql://u:hunter2@127.0.0.1:1/x", tmp_path)
    assert (away.exit_code, "not available" in away.stderr, "hunter2" in away.output) == (2, True, False)
    wrong = run(command, "mysql://hunter2", tmp_path)
    assert (wrong.exit_code, URL_VARIABLE in wrong.stderr, "hunter2" in wrong.output) == (2, True, False)
    if empty_url.startswith("sqlite"):
        Path(empty_url.removeprefix("sqlite:///")).touch()
    old = run(command, empty_url, tmp_path)
    assert (old.exit_code, "voxgate db upgrade" in old.stderr) == (2, True)


def test_a_subject_must_be_named(tmp_path: Path) -> None:
    assert run(["data", "erase"], "", tmp_path).exit_code == 2
