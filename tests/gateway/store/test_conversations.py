"""Reading and deleting: pages in order, search by what was said, and nobody else's."""

import pytest

from tests.gateway.store.heard import Heard, keep
from voxgate_core import ManualClock
from voxgate_gateway.store.conversations import Conversations
from voxgate_gateway.store.cursors import Place
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.modes import StoreMode


@pytest.fixture
def conversations(database: Database) -> Conversations:
    return Conversations(database, ManualClock(5000.0))


async def ids(
    conversations: Conversations, subject: str | None = None, q: str | None = None, limit: int = 50
) -> list[str]:
    page = await conversations.list(subject, q=q, after=None, limit=limit)
    return [found["id"] for found in page.found]


async def test_pages_follow_each_other_without_gaps(conversations: Conversations, database: Database) -> None:
    for number in range(7):  # some begin at the same time
        await keep(database, Heard(f"s-{number}", at=1000.0 + number // 3).whole("hello"))
    found: list[str] = []
    after: Place | None = None
    for _ in range(4):
        page = await conversations.list("ada", q=None, after=after, limit=2)
        found += [one["id"] for one in page.found]
        after = page.after
    assert after is None
    assert found == ["s-6", "s-5", "s-4", "s-3", "s-2", "s-1", "s-0"]


async def test_a_page_that_is_just_full_is_the_last(conversations: Conversations, database: Database) -> None:
    await keep(database, [*Heard("s-1").whole(), *Heard("s-2").whole()])
    assert (await conversations.list(None, q=None, after=None, limit=2)).after is None


async def test_a_subject_sees_its_own_alone(conversations: Conversations, database: Database) -> None:
    await keep(database, [*Heard("s-1", "ada").whole("x"), *Heard("s-2", "bob").whole("x")])
    assert await ids(conversations, "ada") == ["s-1"]
    assert await ids(conversations, "bob", "x") == ["s-2"]
    assert await ids(conversations, "eve") == []
    assert sorted(await ids(conversations, None)) == ["s-1", "s-2"]
    assert await conversations.read("s-2", "ada", after=None, limit=5) is None
    assert await conversations.read("s-2", "bob", after=None, limit=5) is not None


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("parcel", ["s-1"]),
        ("PARCEL", ["s-1"]),
        ("100%", ["s-2"]),
        ("%", ["s-2"]),
        ("_", ["s-3"]),
        ("\\", ["s-4"]),
        ("/", ["s-4"]),
        ("' OR 1=1 --", []),
        ("10_%", []),
        ("ü", ["s-3"]),
    ],
)
async def test_search_finds_what_was_said_and_nothing_like_it(
    conversations: Conversations, database: Database, q: str, found: list[str]
) -> None:
    said = {"s-1": "Where is my Parcel", "s-2": "100% sure", "s-3": "für snake_case", "s-4": "a\\b / c"}
    for number, (session, text) in enumerate(said.items()):
        await keep(database, Heard(session, at=1000.0 + 10 * number).whole(text))
    assert await ids(conversations, q=q) == found


async def test_search_finds_a_conversation_once(conversations: Conversations, database: Database) -> None:
    await keep(database, Heard().whole("again", "again", "again"))
    assert await ids(conversations, q="again") == ["s-1"]


async def test_items_come_in_the_order_of_their_time(conversations: Conversations, database: Database) -> None:
    await keep(database, Heard().whole("one", "two"))
    found: list[tuple[str, object]] = []
    after: Place | None = None
    while True:
        read = await conversations.read("s-1", "ada", after=after, limit=1)
        assert read is not None
        found += [(item["kind"], item.get("text")) for item in read[1].found]
        after = read[1].after
        if after is None:
            break
    assert found == [("transcript", "one"), ("transcript", "two"), ("tool", None), ("turn", None)]


async def test_words_that_are_not_kept_are_not_shown(conversations: Conversations, database: Database) -> None:
    await keep(database, Heard().whole("hello"), StoreMode.METADATA)
    read = await conversations.read("s-1", None, after=None, limit=10)
    assert read is not None
    assert all("text" not in item and "arguments" not in item for item in read[1].found)
    assert await ids(conversations, q="hello") == []


async def test_a_deletion_takes_everything_and_is_told(conversations: Conversations, database: Database) -> None:
    await keep(database, [*Heard("s-1").whole("a", "b"), *Heard("s-2").whole("c")])
    assert await conversations.delete("s-1", "bob", who="bob") is None
    assert await conversations.delete("s-1", "ada", who="ada") == {
        "sessions": 1, "turns": 1, "transcripts": 2, "tool_calls": 1,
    }  # fmt: skip
    assert await conversations.delete("s-1", "ada", who="ada") is None
    assert await ids(conversations) == ["s-2"]
    assert await ids(conversations, q="a") == []
