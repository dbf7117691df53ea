"""Records hold what was put into them, within their bounds."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxgate_fanout.event import MAX_EVENT
from voxgate_fanout.records import ITEM_BYTES, MAX_ITEMS, MAX_RECORD, ROOM, Item, decode_record, encode_record, pack
from voxgate_fanout.targets import MAX_TARGETS

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

tokens = st.text("abcXYZ019_-", min_size=1, max_size=64)
made = st.builds(
    Item,
    id=tokens,
    type=st.text("abc.", min_size=1, max_size=128),
    body=st.binary(max_size=400),
    targets=st.lists(tokens, max_size=5).map(tuple),
    accepted_at=st.floats(0, 4e9),
    attempt=st.integers(1, 2**31),
)


def of_size(size: int, *, targets: int = 1) -> Item:
    return Item("evt_1", "voice.turn.completed", bytes(size), ("t" * 64,) * targets, 0.0)


@unhurried
@given(st.lists(made, max_size=20))
def test_what_goes_into_a_record_comes_out_of_it(items: list[Item]) -> None:
    assert decode_record(encode_record(items)) == tuple(items)


@unhurried
@given(st.lists(made, max_size=20))
def test_an_item_never_takes_more_than_its_size_says(items: list[Item]) -> None:
    assert len(encode_record(items)) <= sum(item.size for item in items) + ITEM_BYTES


@unhurried
@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_raise_nothing_but_value_error(junk: bytes) -> None:
    try:
        items = decode_record(junk)
    except ValueError:
        return
    assert all(isinstance(item, Item) for item in items)


@pytest.mark.parametrize(
    "items",
    [
        [["evt_1", "a.type", b"{}", ["t"], 0.0, 0]],
        [["evt_1", "a.type", b"{}", ["t"], 0.0, -1]],
        [["evt_1", "a.type", b"{}", [7], 0.0, 1]],
        [["evt_1", "a.type"]],
        {"id": "evt_1"},
        [b"evt_1"],
    ],
)
def test_a_record_that_another_program_wrote_is_refused(items: object) -> None:
    with pytest.raises(ValueError, match="not a record"):
        decode_record(msgspec.msgpack.encode(items))


def test_a_record_of_the_next_version_with_more_members_is_read() -> None:
    known = ["evt_1", "a.type", b"{}", ["t"], 1.5, 3]
    assert decode_record(msgspec.msgpack.encode([[*known, "something new"]])) == (
        Item("evt_1", "a.type", b"{}", ("t",), 1.5, 3),
    )


def test_one_item_goes_into_a_record_however_large_it_is() -> None:
    largest = of_size(MAX_EVENT, targets=MAX_TARGETS)
    assert pack([largest, largest]) == 1
    assert len(encode_record([largest])) <= MAX_RECORD


def test_a_record_is_closed_before_it_grows_past_its_room() -> None:
    items = [of_size(ROOM // 4)] * 10
    count = pack(items)
    assert count == 3
    assert sum(item.size for item in items[:count]) <= ROOM < sum(item.size for item in items[: count + 1])


def test_a_large_item_does_not_join_small_ones() -> None:
    assert pack([of_size(10), of_size(MAX_EVENT), of_size(10)]) == 1
    assert pack([of_size(MAX_EVENT), of_size(10)]) == 1


def test_a_record_holds_no_more_than_so_many_items() -> None:
    assert pack([of_size(1)] * (MAX_ITEMS + 5)) == MAX_ITEMS
    assert pack([of_size(1)] * 5, most=1) == 1
    assert pack([]) == 0


@unhurried
@given(st.lists(st.integers(0, 2 * ROOM), max_size=40), st.integers(1, 10))
def test_packing_takes_everything_in_order_and_ends(sizes: list[int], most: int) -> None:
    left = [of_size(size) for size in sizes]
    while left:
        count = pack(left, most=most)
        assert 1 <= count <= most
        assert count == 1 or sum(item.size for item in left[:count]) <= ROOM
        del left[:count]
