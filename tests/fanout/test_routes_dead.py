"""Dead letters over HTTP: found, leafed through, replayed once, and left alone where nobody wants them."""

from typing import Any

import pytest

from tests.fanout.operating import DEAD, REPLAY, TARGETS, Site, data, refused
from tests.fanout.stores import NOW
from voxgate_core import DeadLetter, DeadQuery
from voxgate_fanout.records import decode_record
from voxgate_fanout.routes import MAX_PAGE, MAX_REPLAY


async def two_targets() -> tuple[Site, str, str]:
    """A site, and the ids of its targets "billing" and "crm"."""
    site = await Site(stub=False).loaded()
    return site, (await site.add("billing"))["id"], (await site.add("crm"))["id"]


async def ids(site: Site, query: str = "") -> list[str]:
    return [row["id"] for row in data(await site.ask("GET", f"{DEAD}{query}"))["dead"]]


async def replayed(site: Site, **body: object) -> dict[str, Any]:
    return data(await site.ask("POST", REPLAY, body))


def put(site: Site) -> list[str]:
    """The ids of events that were put back."""
    return [decode_record(record)[0].id for _, record, _ in site.queue.puts]


async def test_a_dead_letter_is_shown_with_its_target_and_why_it_died() -> None:
    site, billing, _ = await two_targets()
    event_id = await site.die(billing, died_at=NOW + 5)
    (row,) = data(await site.ask("GET", DEAD))["dead"]
    size = row.pop("bytes")
    assert size > 100
    assert row == {
        "id": event_id, "target": "billing", "targetId": billing, "reason": "HTTP 500", "attempts": 8,
        "acceptedAt": NOW, "diedAt": NOW + 5, "ref": row["ref"],
    }  # fmt: skip


async def test_dead_letters_are_found_by_target_event_and_time() -> None:
    site, billing, crm = await two_targets()
    for number, target_id in enumerate([billing, crm, billing, "tgt_removed"]):
        await site.die(target_id, f"evt_{number}", NOW + number)
    assert await ids(site) == ["evt_0", "evt_1", "evt_2", "evt_3"]
    assert await ids(site, "?target=billing") == ["evt_0", "evt_2"]
    assert await ids(site, "?id=evt_1") == ["evt_1"]
    assert await ids(site, f"?since={NOW + 1}") == ["evt_1", "evt_2", "evt_3"]
    assert await ids(site, f"?target=billing&since={NOW + 1}") == ["evt_2"]
    assert await ids(site, "?target=crm&id=evt_0") == []
    removed = data(await site.ask("GET", f"{DEAD}?id=evt_3"))["dead"][0]
    assert (removed["target"], removed["targetId"]) == (None, "tgt_removed")


@pytest.mark.parametrize("limit", [1, 7, 50, 60, 119, 120, 121, MAX_PAGE])
async def test_pages_hold_every_letter_once_and_in_order(limit: int) -> None:
    site, billing, crm = await two_targets()
    expected = [await site.die((billing, crm)[number % 2], f"evt_{number}") for number in range(120)]
    found: list[str] = []
    after = ""
    while True:
        page = data(await site.ask("GET", f"{DEAD}?limit={limit}{after}"))
        found += [row["id"] for row in page["dead"]]
        assert len(page["dead"]) <= limit
        if page["after"] is None:
            break
        after = f"&after={page['after']}"
    assert found == expected


async def test_a_hundred_letters_are_a_page_unless_told_otherwise() -> None:
    site, billing, _ = await two_targets()
    for _ in range(101):
        await site.die(billing)
    page = data(await site.ask("GET", DEAD))
    assert len(page["dead"]) == 100
    assert page["after"] == page["dead"][-1]["ref"]


NO_QUERIES = (
    "limit=0", f"limit={MAX_PAGE + 1}", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=1e2", "limit=" + "9" * 40,
    "since=x", "since=nan", "since=inf", "since=-inf", "since=", "after=x", "after=-1", "after=1.5", "after=",
    "after=" + "9" * 19, "after=%D9%A1", "after=1%0A", "id=a%20b", "id=", "id=" + "x" * 65, "id=a.b", "id=a%0A", "id=*",
    "target=", "target=" + "x" * 65,
)  # fmt: skip


async def test_a_query_that_makes_no_sense_is_invalid_input() -> None:
    site, billing, _ = await two_targets()
    await site.die(billing)
    for query in NO_QUERIES:
        error = refused(await site.ask("GET", f"{DEAD}?{query}"), 422, "invalid_input")
        assert error["details"]["fields"] == [["query", query.partition("=")[0]]]


async def test_a_target_that_is_not_there_is_not_found() -> None:
    site, *_ = await two_targets()
    refused(await site.ask("GET", f"{DEAD}?target=nobody"), 404, "not_found")
    refused(await site.ask("GET", f"{DEAD}?target=..%2F.."), 404, "not_found")
    refused(await site.ask("POST", REPLAY, {"target": "nobody"}), 404, "not_found")


async def test_an_event_is_replayed_under_the_id_it_had() -> None:
    site, billing, crm = await two_targets()
    for target_id in (billing, crm):
        await site.die(target_id, "evt_1")
    await site.die(billing, "evt_2")
    told = await replayed(site, id="evt_1")
    assert told == {"replayed": ["evt_1", "evt_1"], "withoutTarget": 0, "until": NOW, "after": None}
    assert put(site) == ["evt_1", "evt_1"]
    assert [decode_record(record)[0].targets for _, record, _ in site.queue.puts] == [(billing,), (crm,)]
    assert await ids(site) == ["evt_2"]


async def test_letters_are_replayed_by_target_by_time_and_by_both() -> None:
    site, billing, crm = await two_targets()
    for number, target_id in enumerate([billing, crm, billing, crm]):
        await site.die(target_id, f"evt_{number}", NOW - 10 + number)
    assert (await replayed(site, target="billing", since=NOW - 9))["replayed"] == ["evt_2"]
    assert (await replayed(site, target="billing"))["replayed"] == ["evt_0"]
    assert (await replayed(site, since=NOW - 7))["replayed"] == ["evt_3"]
    assert await ids(site) == ["evt_1"]


async def test_a_replay_without_anything_named_replays_nothing() -> None:
    site, billing, _ = await two_targets()
    await site.die(billing)
    for body in ({}, {"until": NOW}, {"after": "0"}, None):
        refused(await site.ask("POST", REPLAY, body), 422, "invalid_input")
    assert len(await ids(site)) == 1


async def test_letters_of_removed_targets_are_counted_and_stay() -> None:
    site, billing, _ = await two_targets()
    await site.die(billing, "evt_1")
    await site.die("tgt_removed", "evt_2")
    told = await replayed(site, since=0)
    assert (told["replayed"], told["withoutTarget"]) == (["evt_1"], 1)
    assert await ids(site) == ["evt_2"]


async def test_a_long_replay_goes_on_where_it_stopped_whatever_lies_in_between() -> None:
    """More letters of a removed target than one request looks through lie before those that can be replayed."""
    site, billing, _ = await two_targets()
    for _ in range(MAX_REPLAY):
        await site.die("tgt_removed")
    expected = [await site.die(billing) for _ in range(MAX_REPLAY + 10)]
    found: list[str] = []
    told = await replayed(site, since=0)
    requests = 1
    while True:
        found += told["replayed"]
        if told["after"] is None:
            break
        told = await replayed(site, since=0, after=told["after"], until=told["until"])
        requests += 1
    assert found == put(site) == expected
    assert requests == 3
    assert len(await site.queue.dead(DeadQuery(limit=10_000))) == MAX_REPLAY


async def test_what_dies_again_while_it_is_replayed_is_left_for_another_time() -> None:
    site, billing, _ = await two_targets()
    await site.die(billing, "evt_1")

    forget = site.queue.forget

    async def forget_and_die(letter: DeadLetter) -> None:
        await forget(letter)
        site.clock.advance(1)
        await site.die(billing, letter.id)

    site.queue.forget = forget_and_die  # type: ignore[method-assign]
    for _ in range(60):
        await site.die(billing)
    told = await replayed(site, target="billing")
    assert len(told["replayed"]) == 61
    assert told["after"] is None
    assert len(await ids(site)) == 61


async def test_a_replay_that_breaks_off_loses_nothing() -> None:
    site, billing, _ = await two_targets()
    expected = [await site.die(billing, f"evt_{number}") for number in range(3)]
    site.queue.refuses = lambda method, _: method == "put" and len(site.queue.puts) == 1
    refused(await site.ask("POST", REPLAY, {"since": 0}), 503, "unavailable")
    assert await ids(site) == expected[1:]
    site.queue.refuses = lambda *_: False
    assert (await replayed(site, since=0))["replayed"] == expected[1:]


NO_REPLAYS: tuple[dict[str, object], ...] = (
    {"id": "a b"}, {"id": ""}, {"id": "x\n"}, {"id": "x" * 65}, {"target": ""}, {"target": "x" * 65}, {"since": "0"},
    {"since": None, "id": 1}, {"id": "e", "after": "x"}, {"id": "e", "after": 1}, {"id": "e", "after": "9" * 19},
    {"id": "e", "until": "x"}, {"id": "e", "limit": 1},
)  # fmt: skip


async def test_a_replay_that_makes_no_sense_is_invalid_input() -> None:
    site, billing, _ = await two_targets()
    await site.die(billing)
    for body in NO_REPLAYS:
        refused(await site.ask("POST", REPLAY, body), 422, "invalid_input")
    assert put(site) == []


async def test_a_queue_that_is_down_is_said_to_be() -> None:
    site, *_ = await two_targets()
    site.queue.unavailable = True
    refused(await site.ask("GET", DEAD), 503, "unavailable")
    refused(await site.ask("POST", REPLAY, {"since": 0}), 503, "unavailable")
    data(await site.ask("GET", TARGETS))
