import asyncio
from collections.abc import AsyncIterator

import pytest

from voxgate_core import Change, KeyValue, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_core.keyvalue import DROPS_PER_WRITE, STALE_EXPIRIES, WATCH_QUEUE

DEADLINE = 10.0
"""Seconds a test waits for a change before it fails; a passing test never waits that long."""


async def next_change(changes: AsyncIterator[Change]) -> Change:
    return await asyncio.wait_for(anext(changes), DEADLINE)


def test_the_store_fits_the_port() -> None:
    store: KeyValue = MemoryKeyValue()
    assert isinstance(store, MemoryKeyValue)


async def test_of_a_thousand_concurrent_claims_exactly_one_wins() -> None:
    store = MemoryKeyValue()
    start = asyncio.Event()

    async def claim(number: int) -> bool:
        await start.wait()
        return await store.put_if_absent("jti", str(number).encode(), ttl=300)

    claims = [asyncio.create_task(claim(number)) for number in range(1_000)]
    start.set()
    results = await asyncio.gather(*claims)
    assert results.count(True) == 1
    entry = await store.get("jti")
    assert entry is not None
    assert entry.value == str(results.index(True)).encode()


async def test_of_many_concurrent_updates_none_is_lost() -> None:
    store = MemoryKeyValue()
    await store.put("count", b"0")

    async def add_one() -> None:
        while True:
            entry = await store.get("count")
            assert entry is not None
            await asyncio.sleep(0)
            if await store.compare_and_set("count", b"%d" % (int(entry.value) + 1), revision=entry.revision):
                return

    await asyncio.gather(*(add_one() for _ in range(100)))
    entry = await store.get("count")
    assert entry is not None
    assert entry.value == b"100"


async def test_a_value_is_gone_at_the_very_moment_it_expires() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    await store.put("key", b"value", ttl=10)
    clock.advance(9.5)
    assert await store.get("key") is not None
    clock.advance(0.5)
    assert await store.get("key") is None
    assert not await store.delete("key")


async def test_an_expired_claim_may_be_made_again() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    assert await store.put_if_absent("jti", b"1", ttl=10)
    clock.advance(9)
    assert not await store.put_if_absent("jti", b"2", ttl=10)
    clock.advance(1)
    assert await store.put_if_absent("jti", b"3", ttl=10)


async def test_the_revision_of_a_value_since_expired_no_longer_counts() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    revision = await store.put("key", b"old", ttl=10)
    clock.advance(10)
    assert not await store.compare_and_set("key", b"new", revision=revision)


async def test_a_deleted_and_rewritten_value_does_not_get_its_old_revision_back() -> None:
    store = MemoryKeyValue()
    revision = await store.put("key", b"same")
    assert await store.delete("key")
    await store.put("key", b"same")
    assert not await store.compare_and_set("key", b"new", revision=revision)


async def test_rewriting_a_value_replaces_its_expiry() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    await store.put("key", b"short", ttl=1)
    await store.put("key", b"forever")
    clock.advance(1_000_000)
    await store.put("other", b"")
    entry = await store.get("key")
    assert entry is not None
    assert (entry.value, entry.expires_at) == (b"forever", None)


@pytest.mark.parametrize("ttl", [0, -1, float("-inf")])
async def test_a_ttl_of_zero_or_less_has_passed_already(ttl: float) -> None:
    store = MemoryKeyValue(ManualClock())
    await store.put("key", b"value", ttl=ttl)
    assert await store.get("key") is None


async def test_an_infinite_ttl_never_passes() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    await store.put("key", b"value", ttl=float("inf"))
    clock.advance(1e9)
    assert await store.get("key") is not None


async def test_a_ttl_that_is_not_a_number_is_refused_and_writes_nothing() -> None:
    store = MemoryKeyValue()
    with pytest.raises(ValueError, match="number of seconds"):
        await store.put("key", b"value", ttl=float("nan"))
    assert await store.get("key") is None


async def test_a_full_store_refuses_a_new_key_and_still_takes_a_known_one() -> None:
    store = MemoryKeyValue(max_entries=2)
    await store.put("a", b"1")
    await store.put("b", b"1")
    with pytest.raises(VoxgateError) as refused:
        await store.put("c", b"1")
    assert refused.value.code == "unavailable"
    with pytest.raises(VoxgateError):
        await store.put_if_absent("c", b"1")
    await store.put("a", b"2")
    assert len(store) == 2


async def test_a_full_store_makes_room_for_as_many_as_have_expired() -> None:
    clock = ManualClock()
    size = 5 * DROPS_PER_WRITE
    store = MemoryKeyValue(clock, max_entries=size)
    for number in range(size):
        await store.put(f"old-{number}", b"", ttl=10)
    clock.advance(10)
    for number in range(size):
        await store.put(f"new-{number}", b"")
    assert len(store) == size


async def test_one_write_clears_away_only_a_few_of_many_expired_keys() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    for number in range(10 * DROPS_PER_WRITE):
        await store.put(f"old-{number}", b"", ttl=10)
    clock.advance(10)
    await store.put("new", b"")
    assert len(store) == 9 * DROPS_PER_WRITE + 1
    for _ in range(9):
        await store.put("new", b"")
    assert len(store) == 1


async def test_rewriting_one_key_for_ever_keeps_memory_bounded() -> None:
    store = MemoryKeyValue(ManualClock())
    for _ in range(10 * STALE_EXPIRIES):
        await store.put("key", b"value", ttl=3_600)
    assert len(store._expiries) <= 2 * len(store) + STALE_EXPIRIES


async def test_sweeping_stale_expiries_forgets_no_live_one() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    await store.put("forever", b"")
    await store.put("soon", b"", ttl=10)
    for _ in range(10 * STALE_EXPIRIES):
        await store.put("rewritten", b"", ttl=3_600)
    clock.advance(10)
    await store.put("forever", b"")
    assert len(store) == 2
    assert await store.get("soon") is None


async def test_a_watcher_sees_writes_and_deletes_below_its_prefix_in_order() -> None:
    store = MemoryKeyValue()
    await store.put("revoked/before", b"")
    async with store.watch("revoked/") as changes:
        await store.put("revoked/a", b"1")
        await store.put("quota/a", b"1")
        await store.put_if_absent("revoked/a", b"ignored")
        revision = await store.put("revoked/b", b"2")
        await store.compare_and_set("revoked/b", b"3", revision=revision)
        await store.delete("revoked/a")
        await store.delete("revoked/a")
        await store.put("revoked/end", b"")
        seen = [await next_change(changes) for _ in range(5)]
    assert seen == [
        Change("revoked/a", b"1"),
        Change("revoked/b", b"2"),
        Change("revoked/b", b"3"),
        Change("revoked/a", None),
        Change("revoked/end", b""),
    ]


async def test_a_waiting_watcher_is_woken_by_a_later_write() -> None:
    store = MemoryKeyValue()
    async with store.watch("") as changes:
        waiting = asyncio.create_task(next_change(changes))
        await asyncio.sleep(0)
        await store.put("key", b"value")
        assert await waiting == Change("key", b"value")


async def test_a_watcher_is_an_iterator_that_a_for_loop_can_read() -> None:
    store = MemoryKeyValue()
    async with store.watch("") as changes:
        await store.put("key", b"value")
        async for change in changes:
            assert change == Change("key", b"value")
            break


async def test_a_slow_watcher_is_told_that_it_missed_changes_and_then_sees_new_ones() -> None:
    store = MemoryKeyValue()
    async with store.watch("k") as changes:
        for number in range(WATCH_QUEUE + 1):
            await store.put(f"k{number}", b"")
        await store.put("k-after", b"")
        assert await next_change(changes) == Change("", None, missed=True)
        assert await next_change(changes) == Change("k-after", b"")


async def test_a_watcher_that_just_keeps_up_misses_nothing() -> None:
    store = MemoryKeyValue()
    async with store.watch("k") as changes:
        for number in range(WATCH_QUEUE):
            await store.put(f"k{number}", b"")
        seen = [(await next_change(changes)).key for _ in range(WATCH_QUEUE)]
    assert seen == [f"k{number}" for number in range(WATCH_QUEUE)]


async def test_a_slow_watcher_costs_its_neighbour_nothing() -> None:
    store = MemoryKeyValue()
    async with store.watch("k") as slow, store.watch("k") as quick:
        for number in range(WATCH_QUEUE + 1):
            await store.put(f"k{number}", b"")
            assert (await next_change(quick)).key == f"k{number}"
        assert (await next_change(slow)).missed


async def test_a_watcher_that_left_is_forgotten_even_after_an_error() -> None:
    store = MemoryKeyValue()
    with pytest.raises(LookupError):
        async with store.watch("k"):
            raise LookupError
    await store.put("k", b"")
    assert not store._watchers
