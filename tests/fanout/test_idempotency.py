"""Repeated requests: one event for one key and body, on every node, whatever breaks in between."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fanout.stores import NOW, Link, only, unavailable
from voxgate_core import ManualClock, MemoryKeyValue, VoxgateError
from voxgate_fanout.idempotency import KEEP_SECONDS, MAX_KEY, Memory, Remembered, check_key

REQUEST = Remembered("body-1", "evt_1", NOW)
AGAIN = Remembered("body-1", "evt_2", NOW + 5)
OTHER_BODY = Remembered("body-2", "evt_3", NOW)
DONE = Remembered("body-1", "evt_1", NOW, ("billing", "php"), done=True)


class World:
    """Two nodes over one store."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.store = MemoryKeyValue(self.clock)
        self.links = Link(self.store), Link(self.store)
        self.a, self.b = (Memory(link) for link in self.links)


async def test_the_first_request_is_new_and_its_answer_is_given_again_everywhere() -> None:
    world = World()
    assert await world.a.begin("backend", "k", REQUEST) is REQUEST
    await world.a.finish("backend", "k", DONE)
    assert await world.a.begin("backend", "k", AGAIN) == DONE
    assert await world.b.begin("backend", "k", AGAIN) == DONE


@pytest.mark.parametrize("finished", [False, True])
async def test_another_body_is_a_conflict(finished: bool) -> None:
    world = World()
    await world.a.begin("backend", "k", REQUEST)
    if finished:
        await world.a.finish("backend", "k", DONE)
    with pytest.raises(VoxgateError) as caught:
        await world.b.begin("backend", "k", OTHER_BODY)
    assert (caught.value.code, caught.value.kind.status) == ("conflict", 409)


async def test_the_same_request_at_once_on_two_nodes_is_one_event() -> None:
    world = World()
    both = asyncio.Barrier(2)

    async def meet(_method: str, _key: str) -> None:
        await both.wait()

    for link in world.links:
        link.before = only("put_if_absent", "", meet)
    first, second = await asyncio.gather(world.a.begin("backend", "k", REQUEST), world.b.begin("backend", "k", AGAIN))
    assert first == second
    assert first in (REQUEST, AGAIN)


async def test_a_retry_after_a_crash_has_the_first_event_s_id_and_time() -> None:
    world = World()
    await world.a.begin("backend", "k", REQUEST)
    assert await world.b.begin("backend", "k", AGAIN) == REQUEST


async def test_a_retry_after_a_lost_answer_has_the_first_event_s_id() -> None:
    world = World()
    world.links[0].after = only("put_if_absent", "", unavailable)
    with pytest.raises(VoxgateError, match="unavailable"):
        await world.a.begin("backend", "k", REQUEST)
    assert (await world.a.begin("backend", "k", AGAIN)).event_id == "evt_1"


async def test_keys_of_different_callers_do_not_meet() -> None:
    world = World()
    for number, (caller, key) in enumerate([("a", "k"), ("b", "k"), ("a", "k2"), ("", "ak"), ("ak", ""), ("a\0k", "")]):
        request = Remembered(f"body-{number}", f"evt_{number}", NOW)
        assert await world.a.begin(caller, key, request) is request
    assert len(world.store) == 6


@pytest.mark.parametrize("caller", ["", "é🎙", "\ud800", "a\0b", "../..", "x" * 10_000, "*", "a.b>c"])
async def test_any_name_of_a_caller_and_any_key_can_be_remembered(caller: str) -> None:
    world = World()
    for key in ("!", "*.>", "../../x", "'\"\\", "k" * MAX_KEY):
        await world.a.begin(caller, key, REQUEST)
        assert await world.b.begin(caller, key, AGAIN) == REQUEST
    keys = list(await world.store.scan(""))
    assert len(keys) == 5
    # what the shared store takes as a key: see voxgate_backplane.names
    assert all(re.fullmatch(r"idempotency\.[0-9a-f]{40}", key) for key in keys)


async def test_a_key_is_free_again_after_a_day() -> None:
    world = World()
    assert KEEP_SECONDS == 86_400
    await world.a.begin("backend", "k", REQUEST)
    world.clock.advance(3600)
    await world.a.finish("backend", "k", DONE)
    world.clock.advance(KEEP_SECONDS - 1)
    assert await world.a.begin("backend", "k", AGAIN) == DONE
    world.clock.advance(1)
    assert await world.a.begin("backend", "k", OTHER_BODY) is OTHER_BODY


async def test_a_record_that_expires_while_it_is_looked_at_does_not_count() -> None:
    world = World()
    await world.a.begin("backend", "k", REQUEST)

    async def expire(_method: str, _key: str) -> None:
        world.clock.advance(KEEP_SECONDS)

    world.links[1].before = only("get", "", expire)
    assert await world.b.begin("backend", "k", OTHER_BODY) is OTHER_BODY


async def test_a_record_that_always_vanishes_is_an_unavailable_store() -> None:
    world = World()
    link = world.links[0]

    async def meddle(method: str, key: str) -> None:
        await (world.store.put(key, b"x") if method == "put_if_absent" else world.store.delete(key))

    link.before = meddle
    with pytest.raises(VoxgateError, match="unavailable"):
        await world.a.begin("backend", "k", REQUEST)


@pytest.mark.parametrize("step", ["begin", "finish"])
async def test_a_store_that_is_down_is_said_to_be(step: str) -> None:
    world = World()
    world.links[0].before = unavailable
    with pytest.raises(VoxgateError, match="unavailable"):
        await (world.a.begin if step == "begin" else world.a.finish)("backend", "k", REQUEST)


async def test_a_remembered_request_takes_little_room() -> None:
    """A caller that sends a key with each of many events leaves one of these behind for each, for a day."""
    world = World()
    request = Remembered("d" * 64, "evt_" + "0" * 32, NOW, ("billing",), done=True)
    await world.a.finish("backend", "k" * MAX_KEY, request)
    ((key, entry),) = (await world.store.scan("")).items()
    assert len(key) + len(entry.value) < 200


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([], None),
        ([b"a"], "a"),
        ([b'"8e03978e-40d5-43e8-bc93-6894a57f9324"'], '"8e03978e-40d5-43e8-bc93-6894a57f9324"'),
        ([b" a\t"], "a"),
        ([b"~" * MAX_KEY], "~" * MAX_KEY),
    ],
)
def test_a_key_is_one_value_of_visible_characters(values: list[bytes], key: str | None) -> None:
    assert check_key(values) == key


@pytest.mark.parametrize(
    "values",
    [[b""], [b" "], [b"a b"], [b"a", b"a"], [b"a", b"b"], [b"~" * (MAX_KEY + 1)], [b"a\x00"], [b"\x7f"], [b"k\xa0"],
     [b"k\x85"], ["é".encode()], [b"\xff"], [b"a\nb"]],
)  # fmt: skip
def test_any_other_key_is_a_bad_request(values: list[bytes]) -> None:
    with pytest.raises(VoxgateError) as caught:
        check_key(values)
    assert (caught.value.code, caught.value.kind.status) == ("bad_request", 400)
    assert str(MAX_KEY) in caught.value.message


@given(st.lists(st.binary(max_size=300), max_size=3))
def test_whatever_comes_is_a_key_or_refused(values: list[bytes]) -> None:
    code, key = "", None
    try:
        key = check_key(values)
    except VoxgateError as error:
        code = error.code
    if key is None:
        assert code == ("bad_request" if values else "")
    else:
        assert re.fullmatch(r"[!-~]{1,255}", key)
