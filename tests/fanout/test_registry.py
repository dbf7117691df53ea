"""One node's targets: kept, found, matched, disabled, noted, rotated and removed; and what a store that fails leaves."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.fanout.stores import NOW, Node, filed, hook, only, unavailable
from voxgate_core import ManualClock, MemoryKeyValue, VoxgateError
from voxgate_fanout.addresses import AddressPolicy
from voxgate_fanout.registry import MAX_TYPES, OVERLAP_SECONDS, Registry
from voxgate_fanout.schedule import DISABLE_AFTER
from voxgate_fanout.targets import MAX_TARGETS, TargetState, live_secrets, new_target


class World:
    """A store, a clock and one node."""

    def __init__(self, *fixed_names: str) -> None:
        self.clock = ManualClock(NOW)
        self.store = MemoryKeyValue(self.clock)
        self.node = Node(self.store, self.clock, [filed(name) for name in fixed_names])
        self.registry = self.node.registry

    async def restarted(self) -> Node:
        """A node that begins now, as after a restart."""
        node = Node(self.store, self.clock)
        await node.registry.load()
        return node

    async def keys(self) -> set[str]:
        return set(await self.store.scan(""))


async def refused(code: str, call: Awaitable[object]) -> VoxgateError:
    with pytest.raises(VoxgateError) as caught:
        await call
    assert caught.value.code == code
    return caught.value


async def test_an_added_target_is_found_by_id_and_by_name_and_after_a_restart() -> None:
    world = World()
    target = hook("billing", events=("voice.*",), rate=2.5, order_by="/sessionId")
    await world.registry.add(target)
    for node in (world.node, await world.restarted()):
        assert node.registry.get(target.id) == target
        assert node.registry.named("billing") == target
        assert await node.registry.look_up(target.id) == target
        assert list(node.registry) == [target]
        assert node.registry.state(target.id) == TargetState()
    assert world.node.told == [target.id]


async def test_a_target_with_faults_is_refused_with_all_of_them() -> None:
    world = World()
    error = await refused("invalid_input", world.registry.add(hook("Billing!", url="ftp://x", events=())))
    assert error.details is not None
    assert len(error.details["faults"]) == 3  # type: ignore[arg-type]
    assert await world.keys() == set()


async def test_a_plain_http_target_is_refused_in_prod() -> None:
    registry = Registry(MemoryKeyValue(), ManualClock(NOW), prod=True)
    error = await refused("invalid_input", registry.add(hook(url="http://billing.example/")))
    assert error.details == {"faults": ["url must begin with https:// in prod"]}


@pytest.mark.parametrize("name", ["billing", "from-file"])
async def test_a_name_is_taken_once(name: str) -> None:
    world = World("from-file")
    await world.registry.load()
    await world.registry.add(hook("billing"))
    kept = await world.keys()
    await refused("conflict", world.registry.add(hook(name)))
    assert await world.keys() == kept


async def test_a_fixed_name_is_taken_even_before_the_store_was_read() -> None:
    await refused("conflict", World("from-file").registry.add(hook("from-file")))


async def test_there_is_an_end_to_targets() -> None:
    world = World()
    for number in range(MAX_TARGETS):
        await world.registry.add(hook(f"t-{number}"))
    error = await refused("conflict", world.registry.add(hook("one-more")))
    assert str(MAX_TARGETS) in error.message


@pytest.mark.parametrize("method", ["put", "put_if_absent"])
async def test_an_addition_that_failed_half_way_does_not_block_its_name(method: str) -> None:
    world = World()
    world.node.link.before = only(method, "fanout.", unavailable)
    await refused("unavailable", world.registry.add(hook("billing")))
    assert not world.node.knows("billing")
    again = hook("billing")
    await world.registry.add(again)
    assert list((await world.restarted()).registry) == [again]


async def test_a_target_whose_addition_was_not_heard_of_can_be_seen_and_removed() -> None:
    world = World()
    world.node.link.after = only("put_if_absent", "fanout.target.", unavailable)
    await refused("unavailable", world.registry.add(hook("billing")))
    await world.registry.load()
    await world.registry.remove("billing")
    assert await world.keys() == set()


async def test_a_removed_target_leaves_nothing_behind() -> None:
    world = World()
    target = hook("billing")
    await world.registry.add(target)
    await world.registry.disable(target.id, "for now")
    assert await world.registry.remove("billing") == target
    assert await world.keys() == set()
    assert world.registry.get(target.id) is None
    assert await world.registry.look_up(target.id) is None
    assert world.registry.state(target.id) == TargetState()
    await refused("not_found", world.registry.remove("billing"))
    await world.registry.add(hook("billing"))


async def test_a_target_is_removed_though_what_was_noted_of_it_can_not_be_deleted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    await world.registry.add(hook("billing"))
    world.node.link.before = only("delete", "", unavailable)
    await world.registry.remove("billing")
    assert "removed target" in caplog.text
    assert list((await world.restarted()).registry) == []
    await world.registry.add(hook("billing"))


async def test_a_removal_that_failed_can_be_tried_again() -> None:
    world = World()
    target = hook("billing")
    await world.registry.add(target)
    world.node.link.before = only("compare_and_set", "", unavailable)
    await refused("unavailable", world.registry.remove("billing"))
    assert world.registry.named("billing") == target
    await world.registry.remove("billing")


async def test_a_fixed_target_can_be_disabled_and_not_removed() -> None:
    world = World("from-file")
    await world.registry.load()
    error = await refused("conflict", world.registry.remove("from-file"))
    assert "file" in error.message
    await world.registry.disable("file-from-file", "for now")
    assert world.registry.matching("voice.turn") == ()
    again = Node(world.store, world.clock, [filed("from-file")])
    await again.registry.load()
    assert again.registry.state("file-from-file").disabled == "for now"


async def test_a_target_that_had_the_name_of_a_fixed_one_before_can_be_removed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    old = hook("billing")
    await world.registry.add(old)
    node = Node(world.store, world.clock, [filed("billing")])
    await node.registry.load()
    assert "remove it" in caplog.text
    assert await node.registry.remove("billing") == old
    assert node.registry.named("billing").id == "file-billing"


@pytest.mark.parametrize("name", ["nothing", "", "..", "a/b", "*", "NUL\0", "é", "x" * 5000, "tgt_1"])
async def test_a_name_that_nobody_has_is_not_found_and_barely_repeated(name: str) -> None:
    world = World()
    error = await refused("not_found", world.registry.find(name))
    assert len(error.message) < 200
    assert error.message.isprintable()


async def test_what_is_disabled_keeps_its_first_reason_until_it_is_enabled() -> None:
    world = World()
    target = hook("billing")
    await world.registry.add(target)
    assert await world.registry.disable(target.id, "410") is True
    world.clock.advance(60)
    assert await world.registry.disable(target.id, "an operator") is False
    assert world.registry.state(target.id) == TargetState("410", NOW)
    assert (await world.restarted()).registry.state(target.id) == TargetState("410", NOW)
    await world.registry.enable(target.id)
    assert world.registry.state(target.id) == TargetState()
    assert (await world.restarted()).registry.state(target.id) == TargetState()


async def test_nothing_is_noted_of_a_target_that_is_not_there() -> None:
    world = World()
    await refused("not_found", world.registry.disable("tgt_gone", "x"))
    await refused("not_found", world.registry.enable("tgt_gone"))
    assert await world.registry.note("tgt_gone", ok=False) is False
    assert await world.keys() == set()


async def test_enabling_what_was_never_disabled_writes_nothing() -> None:
    world = World()
    target = hook("billing")
    await world.registry.add(target)
    await world.registry.enable(target.id)
    assert world.node.link.writes("fanout.state.") == []


async def test_a_target_that_fails_without_a_break_has_failed_for_too_long_after_five_days() -> None:
    world = World()
    target = hook("billing")
    await world.registry.add(target)
    assert await world.registry.note(target.id, ok=False) is False
    world.clock.advance(DISABLE_AFTER - 1)
    assert await world.registry.note(target.id, ok=False) is False
    world.clock.advance(1)
    assert await world.registry.note(target.id, ok=False) is True
    assert world.registry.state(target.id).failing_since == NOW
    assert world.node.link.writes("fanout.state.") == ["put_if_absent"]


async def test_one_success_forgets_that_a_target_failed() -> None:
    world = World()
    target = hook("billing")
    await world.registry.add(target)
    await world.registry.note(target.id, ok=False)
    world.clock.advance(DISABLE_AFTER)
    assert await world.registry.note(target.id, ok=True) is False
    assert await world.registry.note(target.id, ok=True) is False
    assert world.node.link.writes("fanout.state.") == ["put_if_absent", "compare_and_set"]
    assert await world.registry.note(target.id, ok=False) is False
    assert world.registry.state(target.id).failing_since == NOW + DISABLE_AFTER


async def test_enabling_forgets_that_a_target_failed() -> None:
    world = World()
    target = hook("billing")
    await world.registry.add(target)
    await world.registry.note(target.id, ok=False)
    await world.registry.disable(target.id, "it failed for 5 days")
    assert world.registry.state(target.id) == TargetState("it failed for 5 days", NOW, NOW)
    await world.registry.enable(target.id)
    assert world.registry.state(target.id) == TargetState()


async def test_a_rotated_secret_signs_first_and_the_old_one_beside_it_for_a_day() -> None:
    world = World()
    target = hook("billing")
    await world.registry.add(target)
    rotated, secret = await world.registry.rotate_secret("billing")
    assert OVERLAP_SECONDS == 86_400
    for found in (rotated, world.registry.named("billing"), (await world.restarted()).registry.named("billing")):
        old = target.secrets[0].value
        assert [kept.value for kept in live_secrets(found, NOW + 86_399)] == [secret, old]
        assert [kept.value for kept in live_secrets(found, NOW + 86_400)] == [secret]
    assert msgspec.structs.replace(rotated, secrets=target.secrets) == target


async def test_matching_follows_every_change() -> None:
    world = World("from-file")
    registry = world.registry

    def names() -> set[str]:
        return {target.name for target in registry.matching("voice.turn.completed")}

    assert names() == set()
    await registry.load()
    assert names() == {"from-file"}
    target = hook("billing", events=("voice.turn.*",))
    await registry.add(target)
    await registry.add(hook("other", events=("order.*",)))
    assert names() == {"from-file", "billing"}
    await registry.disable(target.id, "x")
    assert names() == {"from-file"}
    await registry.enable(target.id)
    assert names() == {"from-file", "billing"}
    rotated, _ = await registry.rotate_secret("billing")
    assert rotated in registry.matching("voice.turn.completed")
    await registry.remove("billing")
    assert names() == {"from-file"}


async def test_matching_holds_for_more_types_than_are_remembered() -> None:
    world = World()
    await world.registry.add(hook("billing", events=("voice.*",)))
    for number in range(2 * MAX_TYPES):
        assert world.registry.matching(f"other.{number}") == ()
    assert len(world.registry.matching("voice.turn")) == 1


CALLS: dict[str, Callable[[Node, str], Awaitable[object]]] = {
    "add": lambda node, _: node.registry.add(hook("another")),
    "remove": lambda node, _: node.registry.remove("billing"),
    "rotate": lambda node, _: node.registry.rotate_secret("billing"),
    "disable": lambda node, target_id: node.registry.disable(target_id, "x"),
    "enable": lambda node, target_id: node.registry.enable(target_id),
    "note": lambda node, target_id: node.registry.note(target_id, ok=False),
    "find": lambda node, _: node.registry.find("elsewhere"),
    "look_up": lambda node, _: node.registry.look_up("tgt_elsewhere"),
    "load": lambda node, _: node.registry.load(),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_store_that_is_down_is_said_to_be(call: str) -> None:
    world = World()
    target = hook("billing")
    await world.registry.add(target)
    world.node.link.before = unavailable
    await refused("unavailable", CALLS[call](world.node, target.id))
    assert list(world.registry) == [target]
    assert world.registry.state(target.id) == TargetState()


async def test_a_change_that_others_always_get_before_is_given_up() -> None:
    world = World()
    await world.registry.add(hook("billing"))
    other = await world.restarted()

    async def outrun(method: str, _key: str) -> None:
        if method == "compare_and_set":
            await other.registry.rotate_secret("billing")

    world.node.link.before = outrun
    error = await refused("unavailable", world.registry.rotate_secret("billing"))
    assert "try again" in error.message


async def test_a_target_is_not_kept_that_could_never_be_delivered_to() -> None:
    registry = Registry(MemoryKeyValue(), ManualClock(NOW), prod=False, policy=AddressPolicy())
    with pytest.raises(VoxgateError) as refused:
        await registry.add(new_target(name="inside", url="https://10.0.0.1/hook", now=NOW))
    assert refused.value.code == "invalid_input"
    assert "VOXGATE_FANOUT_ALLOW_NETS" in str(refused.value.details)
    assert list(registry) == []
