"""What every adapter of the ``KeyValue`` port promises. A test module inherits it and gives the fixture ``shared``."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from voxgate_core import Change, KeyValue, ManualClock

__all__ = ["DEADLINE", "KeyValueContract", "Shared", "next_change"]

DEADLINE = 20.0
"""Seconds a test waits for a change before it fails; a passing test never waits that long."""

ADDERS = 20
"""Concurrent writers of one key: each round lets one of them through."""


@dataclass(frozen=True)
class Shared:
    """One store, reached in two ways where the adapter has two, and the clock it reads."""

    store: KeyValue
    other: KeyValue
    clock: ManualClock


async def next_change(changes: AsyncIterator[Change]) -> Change:
    return await asyncio.wait_for(anext(changes), DEADLINE)


class KeyValueContract:
    async def test_of_a_thousand_concurrent_claims_exactly_one_wins(self, shared: Shared) -> None:
        start = asyncio.Event()

        async def claim(number: int) -> bool:
            await start.wait()
            store = shared.other if number % 2 else shared.store
            return await store.put_if_absent("jti", str(number).encode(), ttl=300)

        claims = [asyncio.create_task(claim(number)) for number in range(1_000)]
        start.set()
        results = await asyncio.gather(*claims)
        assert results.count(True) == 1
        entry = await shared.store.get("jti")
        assert entry is not None
        assert entry.value == str(results.index(True)).encode()

    async def test_of_many_concurrent_updates_none_is_lost(self, shared: Shared) -> None:
        await shared.store.put("count", b"0")

        async def add_one(store: KeyValue) -> None:
            while True:
                entry = await store.get("count")
                assert entry is not None
                await asyncio.sleep(0)
                if await store.compare_and_set("count", b"%d" % (int(entry.value) + 1), revision=entry.revision):
                    return

        await asyncio.gather(*(add_one(shared.other if n % 2 else shared.store) for n in range(ADDERS)))
        entry = await shared.store.get("count")
        assert entry is not None
        assert entry.value == b"%d" % ADDERS

    @pytest.mark.parametrize("value", [b"", b"text", bytes(range(256)), b"\r\n\r\n"])
    async def test_a_value_comes_back_as_it_was_written(self, shared: Shared, value: bytes) -> None:
        revision = await shared.store.put("key", value, ttl=10)
        entry = await shared.other.get("key")
        assert entry is not None
        assert (entry.value, entry.revision, entry.expires_at) == (value, revision, shared.clock.now() + 10)

    async def test_a_key_that_nobody_wrote_has_no_value(self, shared: Shared) -> None:
        assert await shared.store.get("key") is None
        assert not await shared.store.compare_and_set("key", b"value", revision=0)
        assert not await shared.store.compare_and_set("key", b"value", revision=1)
        assert not await shared.store.delete("key")

    async def test_revisions_grow_with_every_write_to_the_store(self, shared: Shared) -> None:
        revisions = [await store.put(key, b"") for store in (shared.store, shared.other) for key in ("a", "b", "a")]
        assert revisions == sorted(set(revisions))

    async def test_a_value_is_gone_at_the_very_moment_it_expires(self, shared: Shared) -> None:
        await shared.store.put("key", b"value", ttl=10)
        shared.clock.advance(9.5)
        assert await shared.store.get("key") is not None
        shared.clock.advance(0.5)
        assert await shared.store.get("key") is None
        assert not await shared.store.delete("key")

    async def test_an_expired_claim_may_be_made_again(self, shared: Shared) -> None:
        assert await shared.store.put_if_absent("jti", b"1", ttl=10)
        shared.clock.advance(9)
        assert not await shared.store.put_if_absent("jti", b"2", ttl=10)
        shared.clock.advance(1)
        results = await asyncio.gather(*(shared.store.put_if_absent("jti", b"3", ttl=10) for _ in range(20)))
        assert results.count(True) == 1

    async def test_the_revision_of_a_value_since_expired_no_longer_counts(self, shared: Shared) -> None:
        revision = await shared.store.put("key", b"old", ttl=10)
        shared.clock.advance(10)
        assert not await shared.store.compare_and_set("key", b"new", revision=revision)

    async def test_an_update_takes_the_place_of_the_revision_it_names_only(self, shared: Shared) -> None:
        first = await shared.store.put("key", b"1")
        assert await shared.other.compare_and_set("key", b"2", revision=first, ttl=10)
        assert not await shared.store.compare_and_set("key", b"3", revision=first)
        entry = await shared.store.get("key")
        assert entry is not None
        assert (entry.value, entry.expires_at) == (b"2", shared.clock.now() + 10)
        assert entry.revision > first

    async def test_a_deleted_key_may_be_claimed(self, shared: Shared) -> None:
        assert await shared.store.put_if_absent("key", b"1")
        assert await shared.other.delete("key")
        assert await shared.store.get("key") is None
        assert not await shared.store.delete("key")
        assert await shared.store.put_if_absent("key", b"2")
        assert not await shared.other.put_if_absent("key", b"3")

    async def test_a_deleted_and_rewritten_value_does_not_get_its_old_revision_back(self, shared: Shared) -> None:
        revision = await shared.store.put("key", b"same")
        assert await shared.store.delete("key")
        assert not await shared.store.compare_and_set("key", b"new", revision=revision)
        await shared.store.put("key", b"same")
        assert not await shared.store.compare_and_set("key", b"new", revision=revision)

    async def test_rewriting_a_value_replaces_its_expiry(self, shared: Shared) -> None:
        await shared.store.put("key", b"short", ttl=1)
        await shared.store.put("key", b"forever")
        shared.clock.advance(1_000_000)
        await shared.store.put("other", b"")
        entry = await shared.store.get("key")
        assert entry is not None
        assert (entry.value, entry.expires_at) == (b"forever", None)

    @pytest.mark.parametrize("ttl", [0, -1, -1e300, -math.inf])
    async def test_a_ttl_of_zero_or_less_has_passed_already(self, shared: Shared, ttl: float) -> None:
        await shared.store.put("key", b"value", ttl=ttl)
        assert await shared.store.get("key") is None
        assert await shared.store.put_if_absent("key", b"value", ttl=ttl)
        assert await shared.store.put_if_absent("key", b"value")

    @pytest.mark.parametrize("ttl", [1e9, 1e10, 1e300, math.inf])
    async def test_a_long_ttl_does_not_pass(self, shared: Shared, ttl: float) -> None:
        await shared.store.put("key", b"value", ttl=ttl)
        shared.clock.advance(9e8)
        assert await shared.store.get("key") is not None
        assert not await shared.store.put_if_absent("key", b"other")

    async def test_a_ttl_that_is_not_a_number_is_refused_and_writes_nothing(self, shared: Shared) -> None:
        revision = await shared.store.put("there", b"value")
        with pytest.raises(ValueError, match="number of seconds"):
            await shared.store.put("key", b"value", ttl=math.nan)
        with pytest.raises(ValueError, match="number of seconds"):
            await shared.store.put_if_absent("key", b"value", ttl=math.nan)
        with pytest.raises(ValueError, match="number of seconds"):
            await shared.store.compare_and_set("there", b"other", revision=revision, ttl=math.nan)
        assert await shared.store.get("key") is None
        entry = await shared.store.get("there")
        assert entry is not None
        assert entry.value == b"value"

    async def test_a_scan_finds_the_live_entries_below_its_prefix(self, shared: Shared) -> None:
        for key in ("a.1", "a.2", "a.3", "a.b.1", "ab.1", "a", "b.1"):
            await shared.store.put(key, key.encode(), ttl=100)
        await shared.store.put("a.2", b"short", ttl=1)
        await shared.other.delete("a.3")
        shared.clock.advance(1)
        found = await shared.other.scan("a.")
        assert found == {key: await shared.store.get(key) for key in ("a.1", "a.b.1")}
        assert set(await shared.store.scan("a")) == {"a.1", "a.b.1", "ab.1", "a"}
        assert set(await shared.store.scan("a.b")) == {"a.b.1"}
        assert set(await shared.store.scan("")) == {"a.1", "a.b.1", "ab.1", "a", "b.1"}
        assert await shared.store.scan("c.") == {}

    async def test_a_scan_finds_hundreds_of_keys(self, shared: Shared) -> None:
        keys = [f"many.{number}" for number in range(600)]
        for some in (keys[:300], keys[300:]):
            await asyncio.gather(*(shared.store.put(key, key.encode()) for key in some))
        await asyncio.gather(*(shared.store.delete(key) for key in keys[::10]))
        await asyncio.gather(*(shared.store.put(key, b"new") for key in keys[5::10]))
        found = await shared.store.scan("many.")
        assert set(found) == set(keys) - set(keys[::10])
        assert {key for key, entry in found.items() if entry.value == b"new"} == set(keys[5::10])

    @pytest.mark.parametrize("prefix", ["revoked.", "revoked"])
    async def test_a_watcher_sees_writes_and_deletes_below_its_prefix_in_order(
        self, shared: Shared, prefix: str
    ) -> None:
        await shared.store.put("revoked.before", b"")
        async with shared.store.watch(prefix) as changes:
            await shared.other.put("revoked.a", b"1")
            await shared.store.put("quota.a", b"1")
            await shared.store.put_if_absent("revoked.a", b"ignored")
            revision = await shared.other.put("revoked.b", b"2")
            await shared.store.compare_and_set("revoked.b", b"3", revision=revision)
            await shared.store.delete("revoked.a")
            await shared.other.delete("revoked.a")
            await shared.store.put("revoked.end", b"")
            seen = [await next_change(changes) for _ in range(5)]
        assert seen == [
            Change("revoked.a", b"1"),
            Change("revoked.b", b"2"),
            Change("revoked.b", b"3"),
            Change("revoked.a", None),
            Change("revoked.end", b""),
        ]

    async def test_a_waiting_watcher_is_woken_by_a_later_write(self, shared: Shared) -> None:
        async with shared.store.watch("") as changes:
            waiting = asyncio.create_task(next_change(changes))
            await asyncio.sleep(0)
            await shared.other.put("key", b"value")
            assert await waiting == Change("key", b"value")

    async def test_a_watcher_is_an_iterator_that_a_for_loop_can_read(self, shared: Shared) -> None:
        async with asyncio.timeout(DEADLINE), shared.store.watch("") as changes:
            await shared.store.put("key", b"value")
            async for change in changes:
                assert change == Change("key", b"value")
                break

    async def test_a_watcher_that_is_interrupted_misses_nothing(self, shared: Shared) -> None:
        async with shared.store.watch("") as changes:
            waiting = asyncio.create_task(next_change(changes))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await shared.store.put("key", b"value")
            assert await next_change(changes) == Change("key", b"value")

    async def test_watchers_do_not_disturb_each_other(self, shared: Shared) -> None:
        async with shared.store.watch("a.") as one, shared.other.watch("a.b") as two:
            for key in ("a.b.1", "a.c.1", "a.bc"):
                await shared.store.put(key, b"")
            assert [(await next_change(one)).key for _ in range(3)] == ["a.b.1", "a.c.1", "a.bc"]
            assert [(await next_change(two)).key for _ in range(2)] == ["a.b.1", "a.bc"]
