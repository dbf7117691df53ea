"""Two nodes over one store: what one changes the other knows, whatever comes in between and in whatever order."""

import asyncio
import logging
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from tests.fanout.stores import NOW, PATIENCE, Node, hook, only, unavailable
from voxgate_core import ManualClock, MemoryKeyValue, VoxgateError
from voxgate_fanout.registry import MAX_ATTEMPTS
from voxgate_fanout.targets import TargetState, live_secrets


class World:
    """Two nodes; those that a test does not have watching are deaf."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.store = MemoryKeyValue(self.clock)
        self.a = Node(self.store, self.clock)
        self.b = Node(self.store, self.clock)

    async def kept(self) -> list[str]:
        return [key for key in await self.store.scan("") if key.startswith("fanout.target.")]


@pytest.fixture
def world() -> World:
    return World()


@pytest_asyncio.fixture
async def watched(world: World) -> AsyncIterator[World]:
    """Both watch."""
    async with world.a.watching(), world.b.watching():
        yield world


def code_of(result: object) -> str:
    return result.code if isinstance(result, VoxgateError) else "done"


async def test_every_change_reaches_the_other_node(watched: World) -> None:
    a, b = watched.a, watched.b
    target = hook("billing")
    await a.registry.add(target)
    await b.until(lambda: b.registry.get(target.id) == target)
    assert b.registry.matching("voice.turn") == (target,)

    await a.registry.disable(target.id, "for now")
    await b.until(lambda: b.registry.state(target.id).disabled == "for now")
    assert b.registry.matching("voice.turn") == ()

    await a.registry.enable(target.id)
    await b.until(lambda: b.registry.state(target.id) == TargetState())
    assert b.registry.matching("voice.turn") == (target,)

    await b.registry.note(target.id, ok=False)
    await a.until(lambda: a.registry.state(target.id).failing_since == NOW)
    await a.registry.note(target.id, ok=True)
    await b.until(lambda: b.registry.state(target.id).failing_since is None)

    rotated, _ = await b.registry.rotate_secret("billing")
    await a.until(lambda: a.registry.named("billing") == rotated)
    assert a.registry.matching("voice.turn") == (rotated,)

    await a.registry.remove("billing")
    await b.until(lambda: not b.knows("billing"))
    assert b.registry.matching("voice.turn") == ()


async def test_a_name_is_taken_once_by_two_nodes_that_race(world: World) -> None:
    both = asyncio.Barrier(2)

    async def meet(_method: str, _key: str) -> None:
        await both.wait()

    for node in (world.a, world.b):
        node.link.before = only("put_if_absent", "fanout.target.", meet)
    first, second = hook("billing"), hook("billing")
    results = await asyncio.gather(
        world.a.registry.add(first), world.b.registry.add(second), return_exceptions=True
    )  # fmt: skip
    assert sorted(map(code_of, results)) == ["conflict", "done"]
    assert len(await world.kept()) == 1
    assert len(await world.store.scan("fanout.id.")) == 1
    await world.a.registry.load()
    await world.b.registry.load()
    assert list(world.a.registry) == list(world.b.registry)


async def test_a_name_that_a_deaf_node_does_not_know_is_taken_all_the_same(world: World) -> None:
    target = hook("billing")
    await world.a.registry.add(target)
    assert (
        code_of((await asyncio.gather(world.b.registry.add(hook("billing")), return_exceptions=True))[0]) == "conflict"
    )
    assert await world.store.scan("fanout.id.") == await world.store.scan(f"fanout.id.{target.id}")


async def test_a_node_that_has_not_heard_of_a_target_finds_it(world: World) -> None:
    target = hook("billing")
    await world.a.registry.add(target)
    await world.a.registry.disable(target.id, "for now")
    assert world.b.registry.get(target.id) is None
    assert await world.b.registry.look_up(target.id) == target
    assert world.b.registry.state(target.id).disabled == "for now"
    assert world.b.registry.matching("voice.turn") == ()
    other = Node(world.store, world.clock)
    assert await other.registry.find("billing") == target


async def test_a_node_that_has_not_heard_of_a_removal_changes_nothing_of_the_next_target(world: World) -> None:
    await world.a.registry.add(hook("billing"))
    await world.b.registry.load()
    await world.a.registry.remove("billing")
    second = hook("billing")
    await world.a.registry.add(second)
    for call in (world.b.registry.remove("billing"), world.b.registry.rotate_secret("billing")):
        with pytest.raises(VoxgateError, match="not_found"):
            await call
    await world.b.registry.load()
    assert list(world.b.registry) == [second]


async def test_a_rotation_does_not_bring_a_removed_target_back(world: World) -> None:
    await world.a.registry.add(hook("billing"))
    await world.b.registry.load()

    async def remove(_method: str, _key: str) -> None:
        await world.a.registry.remove("billing")

    world.b.link.before = only("compare_and_set", "fanout.target.", remove)
    with pytest.raises(VoxgateError, match="not_found"):
        await world.b.registry.rotate_secret("billing")
    assert await world.kept() == []


async def test_a_removal_does_not_hit_a_target_that_took_the_name_at_that_moment(world: World) -> None:
    await world.a.registry.add(hook("billing"))
    await world.b.registry.load()
    second = hook("billing")

    async def replace(_method: str, _key: str) -> None:
        await world.a.registry.remove("billing")
        await world.a.registry.add(second)

    world.b.link.before = only("compare_and_set", "fanout.target.", replace)
    with pytest.raises(VoxgateError, match="not_found"):
        await world.b.registry.remove("billing")
    await world.b.registry.load()
    assert list(world.b.registry) == [second]


async def test_secrets_that_two_nodes_give_at_once_all_sign(world: World) -> None:
    target = hook("billing")
    await world.a.registry.add(target)
    await world.b.registry.load()
    given: list[str] = []

    async def rotate_too(_method: str, _key: str) -> None:
        given.append((await world.a.registry.rotate_secret("billing"))[1])

    world.b.link.before = only("compare_and_set", "fanout.target.", rotate_too)
    rotated, secret = await world.b.registry.rotate_secret("billing")
    assert [kept.value for kept in live_secrets(rotated, NOW)] == [secret, *given, target.secrets[0].value]


async def test_many_failures_at_once_on_two_nodes_are_noted_once(watched: World) -> None:
    target = hook("billing")
    await watched.a.registry.add(target)
    await watched.b.until(lambda: watched.b.knows("billing"))
    nodes = (watched.a, watched.b) * 8
    for ok in (False, True):
        results = await asyncio.gather(*(node.registry.note(target.id, ok=ok) for node in nodes))
        assert not any(results)
        for node in (watched.a, watched.b):
            assert (node.registry.state(target.id).failing_since is None) is ok
    done = await watched.store.get(f"fanout.state.{target.id}")
    assert done is not None
    before = await watched.store.get(f"fanout.target.{target.name}")
    assert before is not None
    assert done.revision == before.revision + 2


async def test_a_node_that_has_not_heard_of_a_failure_keeps_its_time(world: World) -> None:
    target = hook("billing")
    await world.a.registry.add(target)
    await world.b.registry.load()
    await world.a.registry.note(target.id, ok=False)
    world.clock.advance(60)
    await world.b.registry.note(target.id, ok=False)
    assert world.b.registry.state(target.id).failing_since == NOW
    assert world.b.link.writes("fanout.state.") == []


async def test_of_two_reasons_the_first_stays(world: World) -> None:
    target = hook("billing")
    await world.a.registry.add(target)
    await world.b.registry.load()
    assert await world.a.registry.disable(target.id, "first") is True
    assert await world.b.registry.disable(target.id, "second") is False
    assert world.b.registry.state(target.id).disabled == "first"


async def test_after_missed_changes_everything_is_read_anew(watched: World) -> None:
    """Also how targets fare: that is what decides whether they are sent to."""
    a, b = watched.a, watched.b
    stays, goes, noisy = hook("stays"), hook("goes"), hook("noisy", events=("order.*",))
    for target in (stays, goes, noisy):
        await a.registry.add(target)
    await b.until(lambda: b.knows("noisy"))
    assert len(b.registry.matching("voice.turn")) == 2

    deaf, hears = asyncio.Event(), asyncio.Event()

    async def hold(_method: str, _key: str) -> None:
        deaf.set()
        await hears.wait()

    b.link.before = only("heard", "", hold)
    await a.registry.note(noisy.id, ok=False)
    async with asyncio.timeout(PATIENCE):
        await deaf.wait()
    await a.registry.disable(stays.id, "x")
    rotated, _ = await a.registry.rotate_secret("stays")
    await a.registry.remove("goes")
    comes = hook("comes")
    await a.registry.add(comes)
    for number in range(1, 1100):  # more than a watcher may fall behind
        await a.registry.note(noisy.id, ok=bool(number % 2))
    b.told.clear()
    hears.set()
    await b.until(lambda: b.knows("comes"))
    assert list(b.registry) == [rotated, noisy, comes]
    assert b.registry.state(stays.id).disabled == "x"
    assert b.registry.matching("voice.turn") == (comes,)
    assert set(b.told) >= {stays.id, goes.id, comes.id}


async def test_a_broken_watch_is_begun_again_and_misses_nothing(
    watched: World, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = watched.a, watched.b
    target = hook("billing")
    b.link.before = only("heard", "", unavailable)
    await a.registry.add(target)
    await b.until(lambda: b.knows("billing"))
    assert b.pauses == 1
    assert "watching again" in caplog.text
    await a.registry.disable(target.id, "x")
    await b.until(lambda: b.registry.state(target.id).disabled == "x")


async def test_a_watch_goes_on_until_the_store_is_back(world: World) -> None:
    await world.a.registry.add(hook("billing"))

    async def down(_method: str, _key: str) -> None:
        if world.b.pauses < 3:
            raise VoxgateError("unavailable")

    world.b.link.before = down
    async with world.b.watching():
        assert world.b.knows("billing")
    assert world.b.pauses == 3


async def test_what_can_not_be_read_does_not_end_the_watch(watched: World, caplog: pytest.LogCaptureFixture) -> None:
    a, b = watched.a, watched.b
    target = hook("billing")
    await a.registry.add(target)
    await b.until(lambda: b.knows("billing"))
    for key in ("fanout.target.odd", "fanout.target.billing", f"fanout.state.{target.id}", "fanout.odd"):
        await watched.store.put(key, b"\xff{")
    await a.registry.add(hook("another"))
    await b.until(lambda: b.knows("another"))
    assert b.registry.named("billing") == target
    bad = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {vars(record)["key"] for record in bad} >= {"fanout.target.odd", f"fanout.state.{target.id}"}
    fresh = Node(watched.store, watched.clock)
    await fresh.registry.load()
    assert [known.name for known in fresh.registry] == ["another"]


async def test_a_target_that_is_removed_while_it_is_looked_for_does_not_stay(watched: World) -> None:
    a, b = watched.a, watched.b
    hears = asyncio.Event()

    async def hold(_method: str, _key: str) -> None:
        await hears.wait()

    async def removed(_method: str, _key: str) -> None:
        """Between the reading and its answer; and only now A hears what has become of the target."""
        await b.registry.remove("billing")
        hears.set()
        await a.until(lambda: len(a.told) == 2)

    a.link.before = only("heard", "fanout.target.", hold)
    a.link.after = only("get", "fanout.target.", removed)
    await b.registry.add(hook("billing"))
    with pytest.raises(VoxgateError, match="not_found"):
        await a.registry.find("billing")
    assert list(a.registry) == []


async def test_of_two_changes_at_once_the_later_one_is_known_everywhere(watched: World) -> None:
    a, b = watched.a, watched.b
    target = hook("billing")
    await a.registry.add(target)
    await b.until(lambda: b.knows("billing"))
    later: list[str] = []

    async def overtaken(_method: str, _key: str) -> None:
        """Between the write of A and the answer to it, B writes, and A hears of both."""
        later.append((await b.registry.rotate_secret("billing"))[1])
        await a.until(lambda: a.registry.named("billing").secrets[0].value == later[0])

    a.link.after = only("compare_and_set", "fanout.target.", overtaken)
    await a.registry.rotate_secret("billing")
    for node in (a, b):
        assert node.registry.named("billing").secrets[0].value == later[0]
        assert len(node.registry.named("billing").secrets) == 3


async def test_a_target_that_is_removed_before_its_addition_is_answered_does_not_stay(watched: World) -> None:
    a, b = watched.a, watched.b
    target = hook("billing")

    async def removed(_method: str, _key: str) -> None:
        await b.until(lambda: b.knows("billing"))
        await b.registry.remove("billing")
        await a.until(lambda: target.id in a.told and not a.knows("billing"))

    a.link.after = only("put_if_absent", "fanout.target.", removed)
    await a.registry.add(target)
    assert not a.knows("billing")
    assert a.registry.matching("voice.turn") == ()


async def test_a_target_that_is_added_while_everything_is_read_is_never_gone(world: World) -> None:
    target = hook("billing")

    async def add(_method: str, _key: str) -> None:
        await world.a.registry.add(target)

    world.a.link.after = only("scan", "fanout.", add)
    await world.a.registry.load()
    assert world.a.told == [target.id]
    assert world.a.knows("billing")


async def test_everything_is_read_at_last_though_changes_never_cease(world: World) -> None:
    await world.a.registry.add(hook("billing"))
    node = world.b

    async def add_at_each_reading(method: str, _key: str) -> None:
        if method == "scan":
            await node.registry.add(hook(f"t-{len(node.told)}"))

    node.link.before = add_at_each_reading
    await node.registry.load()
    assert node.knows("billing")
    assert len(list(node.registry)) == 1 + MAX_ATTEMPTS


async def test_a_late_word_of_a_removal_does_not_hit_the_next_target_of_the_name(watched: World) -> None:
    a, b = watched.a, watched.b
    first, second = hook("billing"), msgspec.structs.replace(hook("billing"), rate=3.0)
    await a.registry.add(first)
    await b.until(lambda: b.knows("billing"))
    deaf, hears = asyncio.Event(), asyncio.Event()

    async def hold(_method: str, _key: str) -> None:
        deaf.set()
        await hears.wait()

    b.link.before = only("heard", "fanout.target.", hold)
    await a.registry.remove("billing")
    async with asyncio.timeout(PATIENCE):
        await deaf.wait()
    await a.registry.add(second)
    assert await b.registry.look_up(second.id) == second
    told = len(b.told)
    hears.set()
    await a.registry.disable(second.id, "x")
    await b.until(lambda: b.registry.state(second.id).disabled == "x")
    assert b.told[told:] == [second.id]
