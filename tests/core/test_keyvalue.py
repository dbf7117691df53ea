import pytest

from tests.helpers.keyvalue_contract import KeyValueContract, Shared, next_change
from voxgate_core import Change, KeyValue, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_core.keyvalue import DROPS_PER_WRITE, STALE_EXPIRIES, WATCH_QUEUE


def test_the_store_fits_the_port() -> None:
    store: KeyValue = MemoryKeyValue()
    assert isinstance(store, MemoryKeyValue)


class TestContract(KeyValueContract):
    @pytest.fixture
    def shared(self) -> Shared:
        clock = ManualClock()
        store = MemoryKeyValue(clock)
        return Shared(store, store, clock)


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


async def test_a_scan_drops_what_it_finds_expired() -> None:
    clock = ManualClock()
    store = MemoryKeyValue(clock)
    await store.put("soon", b"", ttl=10)
    await store.put("forever", b"")
    clock.advance(10)
    assert set(await store.scan("")) == {"forever"}
    assert len(store) == 1


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
