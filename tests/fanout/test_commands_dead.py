"""`voxgate fanout dead list` and `replay`: pages, times, and replays that are long or break off."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fanout.serving import Desk, at_a_desk
from tests.fanout.stores import NOW
from voxgate_core import DeadLetter
from voxgate_fanout.records import decode_record
from voxgate_fanout.routes import MAX_REPLAY

MOMENT = datetime.fromtimestamp(NOW, UTC).isoformat().replace("+00:00", "Z")


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with at_a_desk(tmp_path) as desk:
        yield desk


async def test_dead_letters_are_listed_oldest_first(desk: Desk) -> None:
    for number in range(3):
        await desk.site.die("file-php", f"evt_{number}", NOW + number)
    await desk.site.die("tgt_removed", "evt_3", NOW + 3)
    told = await desk.json("dead", "list")
    assert [row["id"] for row in told["dead"]] == ["evt_0", "evt_1", "evt_2", "evt_3"]
    assert told["after"] is None
    result = await desk.run("dead", "list", "--target", "php", "--since", MOMENT.replace(":00Z", ":01Z"))
    assert (result.exit_code, result.stderr) == (0, "")
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["event", "target", "died", "attempts", "reason"]
    assert rows[0].split() == ["evt_1", "php", MOMENT.replace(":00Z", ":01Z"), "8", "HTTP", "500"]
    assert len(rows) == 2
    assert "tgt_removed" in (await desk.run("dead", "list", "--id", "evt_3")).stdout


async def test_the_next_page_is_asked_for_by_what_was_said(desk: Desk) -> None:
    for number in range(5):
        await desk.site.die("file-php", f"evt_{number}")
    result = await desk.run("dead", "list", "--limit", "3")
    assert result.stdout.count("evt_") == 3
    *_, option, ref = result.stderr.split()
    assert option == "--after"
    rest = await desk.json("dead", "list", "--limit", "3", "--after", ref)
    assert [row["id"] for row in rest["dead"]] == ["evt_3", "evt_4"]


async def test_nothing_dead_is_an_empty_list(desk: Desk) -> None:
    assert await desk.json("dead", "list") == {"dead": [], "after": None}
    assert (await desk.run("dead", "list")).stdout == "event  target  died  attempts  reason\n"


NO_TIMES = (
    "", "yesterday", "1x", "-1d", "²d", "1.5h", "9999999d", "d", "2026-13-01", "2026-11-25T25:00:00Z", "nan", "\udcff"
)  # fmt: skip


@pytest.mark.parametrize("command", [("dead", "list"), ("replay",)])
async def test_a_time_that_is_none_exits_2_and_shows_one(desk: Desk, command: tuple[str, ...]) -> None:
    for since in NO_TIMES:
        result = await desk.run(*command, "--since", since)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "2026-11-25T10:00:00Z" in result.stderr
    assert desk.server.requests == []


@pytest.mark.parametrize(
    ("since", "found"),
    [
        (MOMENT, 1),
        ("2001-01-01", 1),
        ("2100-01-01T00:00:00+02:00", 0),
        ("999999d", 1),
        ("0001-01-01T00:00:00+23:59", 1),
        ("9999-12-31T23:59:59-23:59", 0),
        ("0s", 0),
    ],
)
async def test_a_time_is_a_moment_or_so_long_ago(desk: Desk, since: str, found: int) -> None:
    await desk.site.die("file-php", died_at=NOW)
    assert len((await desk.json("dead", "list", "--since", since))["dead"]) == found


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--limit", "0"), 2),
        (("--limit", "1001"), 2),
        (("--target", "../x"), 2),
        (("--target", "nobody"), 1),
        (("--id", "a b"), 1),
        (("--after", "x"), 1),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(desk: Desk, arguments: list[str], status: int) -> None:
    result = await desk.run("dead", "list", "--json", *arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr


async def test_what_is_replayed_is_told(desk: Desk) -> None:
    await desk.site.die("file-php", "evt_1")
    await desk.site.die("tgt_removed", "evt_2")
    assert await desk.json("replay", "--id", "evt_1") == {"replayed": ["evt_1"], "withoutTarget": 0}
    missing = await desk.run("replay", "--id", "evt_1", "--json")
    assert (missing.exit_code, json.loads(missing.stdout)["replayed"]) == (1, [])
    assert "no dead letter has the id evt_1" in missing.stderr
    result = await desk.run("replay", "--since", "2001-01-01")
    assert (result.exit_code, result.stdout) == (0, "0 replayed, 1 left: their targets were removed\n")
    await desk.site.die("env-stub", "evt_3")
    assert (await desk.run("replay", "--target", "stub")).stdout == "1 replayed\n"


async def test_a_replay_names_what(desk: Desk) -> None:
    result = await desk.run("replay")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--id, --target or --since" in result.stderr
    assert desk.server.requests == []


async def test_a_long_replay_takes_as_many_requests_as_it_needs_and_is_told_as_one(desk: Desk) -> None:
    for _ in range(MAX_REPLAY):
        await desk.site.die("tgt_removed")
    expected = [await desk.site.die("file-php") for _ in range(MAX_REPLAY + 1)]
    told = await desk.json("replay", "--since", "2001-01-01")
    assert told == {"replayed": expected, "withoutTarget": MAX_REPLAY}
    assert [decode_record(record)[0].id for _, record, _ in desk.site.queue.puts] == expected
    assert len(desk.server.requests) == 3


async def test_a_long_replay_ends_though_all_of_it_dies_again(desk: Desk) -> None:
    site = desk.site
    for _ in range(MAX_REPLAY + 1):
        await site.die("file-php")
    forget = site.queue.forget

    async def forget_and_die(letter: DeadLetter) -> None:
        await forget(letter)
        site.clock.advance(1)
        await site.die(letter.lane, letter.id)

    site.queue.forget = forget_and_die  # type: ignore[method-assign]
    told = await desk.json("replay", "--target", "php")
    assert len(told["replayed"]) == MAX_REPLAY + 1


async def test_a_replay_that_can_not_begin_exits_1_and_says_why(desk: Desk) -> None:
    desk.site.queue.unavailable = True
    result = await desk.run("replay", "--target", "php", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "were replayed" not in result.stderr


async def test_a_replay_that_breaks_off_says_how_far_it_came(desk: Desk) -> None:
    for _ in range(MAX_REPLAY + 1):
        await desk.site.die("file-php")
    puts = desk.site.queue.puts
    desk.site.queue.refuses = lambda method, _: method == "put" and len(puts) >= MAX_REPLAY
    result = await desk.run("replay", "--target", "php", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{MAX_REPLAY} were replayed before that; run it again for the rest" in result.stderr
    desk.site.queue.refuses = lambda *_: False
    assert len((await desk.json("replay", "--target", "php"))["replayed"]) == 1
