"""Secrets of fixed targets: made once where none was given, the same on every node and after a restart."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from tests.fanout.stores import NOW, Node, bare, filed, hook, only, unavailable
from voxgate_core import ManualClock, MemoryKeyValue, VoxgateError
from voxgate_fanout.signing import secret_key
from voxgate_fanout.targets import ManagedBy, Target, live_secrets


class World:
    """Nodes of one deployment, all with the same fixed targets."""

    def __init__(self, *fixed: Target) -> None:
        self.clock = ManualClock(NOW)
        self.store = MemoryKeyValue(self.clock)
        self.fixed = fixed

    def node(self) -> Node:
        return Node(self.store, self.clock, self.fixed)

    async def loaded(self) -> Node:
        node = self.node()
        await node.registry.load()
        return node


def secrets(node: Node, name: str = "php") -> list[str]:
    return [secret.value for secret in live_secrets(node.registry.named(name), node.clock.now())]


def signs_with(node: Node, *expected: str) -> Callable[[], bool]:
    return lambda: secrets(node) == list(expected)


@pytest.mark.parametrize("managed_by", ["environment", "stub"])
async def test_a_secret_is_made_once_and_is_the_same_on_every_node_and_after_a_restart(managed_by: ManagedBy) -> None:
    world = World(bare("php", managed_by))
    first, second = world.node(), world.node()
    both = asyncio.Barrier(2)

    async def meet(_method: str, _key: str) -> None:
        await both.wait()

    for node in (first, second):
        node.link.before = only("put_if_absent", "fanout.secret.", meet)
    await asyncio.gather(first.registry.load(), second.registry.load())
    (secret,) = secrets(first)
    assert secret_key(secret)
    assert secrets(second) == secrets(await world.loaded()) == [secret]
    assert first.registry.matching("voice.turn") == (first.registry.named("php"),)


async def test_a_node_that_only_reads_writes_nothing() -> None:
    world = World(bare("php"))
    await world.loaded()
    again = await world.loaded()
    assert again.link.writes("") == []


async def test_a_rotated_secret_of_the_environment_is_known_everywhere_and_stays() -> None:
    world = World(bare("php"))
    a, b = world.node(), world.node()
    async with a.watching(), b.watching():
        old = secrets(a)
        for expected in range(2, 4):
            rotated, secret = await a.registry.rotate_secret("php")
            assert secrets(a) == [secret, *old]
            assert rotated == a.registry.named("php")
            await b.until(signs_with(b, secret, *old))
            old = secrets(a)
            assert len(old) == expected
        rotated, secret = await b.registry.rotate_secret("php")
        await a.until(signs_with(a, secret, *old))
        await a.registry.load()
        assert secrets(a) == [secret, *old]
    assert secrets(await world.loaded()) == [secret, *old]
    world.clock.advance(86_400)
    assert secrets(await world.loaded()) == [secret]


async def test_a_rotation_that_another_node_outruns_keeps_both_secrets() -> None:
    world = World(bare("php"))
    a, b = await world.loaded(), await world.loaded()
    (old,) = secrets(a)
    given: list[str] = []

    async def rotate_too(_method: str, _key: str) -> None:
        given.append((await b.registry.rotate_secret("php"))[1])

    a.link.before = only("compare_and_set", "fanout.secret.", rotate_too)
    _, secret = await a.registry.rotate_secret("php")
    assert secrets(a) == [secret, *given, old]


@pytest.mark.parametrize(
    "fixed", [filed("php"), msgspec.structs.replace(bare("php"), secrets=hook().secrets)], ids=["file", "environment"]
)
async def test_a_secret_that_is_set_elsewhere_is_not_rotated_here(fixed: Target) -> None:
    world = World(fixed)
    node = await world.loaded()
    with pytest.raises(VoxgateError, match="conflict") as caught:
        await node.registry.rotate_secret("php")
    assert fixed.managed_by in caught.value.message
    assert node.registry.named("php") == fixed
    assert node.link.writes("") == []


async def test_secrets_in_the_store_do_not_replace_those_that_are_given() -> None:
    world = World(bare("php"))
    await world.loaded()
    given = msgspec.structs.replace(bare("php"), secrets=hook().secrets)
    node = Node(world.store, world.clock, [given])
    await node.registry.load()
    assert node.registry.named("php") == given


async def test_without_the_store_there_is_no_secret_and_nothing_is_sent() -> None:
    world = World(bare("php"))
    node = world.node()
    node.link.before = only("put_if_absent", "fanout.secret.", unavailable)
    with pytest.raises(VoxgateError, match="unavailable"):
        await node.registry.load()
    assert node.registry.matching("voice.turn") == ()
    await node.registry.load()
    assert len(secrets(node)) == 1


async def test_a_secret_that_vanishes_at_once_is_an_unavailable_store() -> None:
    world = World(bare("php"))
    node = world.node()

    async def vanish(_method: str, key: str) -> None:
        await world.store.delete(key)

    node.link.after = only("put_if_absent", "fanout.secret.", vanish)
    with pytest.raises(VoxgateError, match="unavailable"):
        await node.registry.load()


async def test_no_secret_is_in_what_a_registry_says() -> None:
    world = World(bare("php"))
    node = await world.loaded()
    assert secrets(node)[0] not in repr(list(node.registry))
