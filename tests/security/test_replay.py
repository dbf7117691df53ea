"""A token id is spent once, for as long as the token could live."""

import asyncio

import pytest

from tests.security.rig import NOW
from voxgate_core import Grant, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_security import ReplayGuard


def grant(token_id: str = "t") -> Grant:
    return Grant("alice", "s", token_id, None, frozenset({"realtime"}), NOW, NOW + 100)


async def test_an_id_is_spent_once_and_other_ids_are_not() -> None:
    clock = ManualClock(NOW)
    guard = ReplayGuard(MemoryKeyValue(clock), clock)
    await guard.spend(grant())
    await guard.spend(grant("u"))
    with pytest.raises(VoxgateError, match="token_replayed"):
        await guard.spend(grant())


async def test_of_many_at_once_one_wins() -> None:
    clock = ManualClock(NOW)
    store = MemoryKeyValue(clock)
    guards = [ReplayGuard(store, clock) for _ in range(4)]
    results = await asyncio.gather(*(guards[n % 4].spend(grant()) for n in range(200)), return_exceptions=True)
    assert results.count(None) == 1


async def test_the_record_outlives_the_token_and_then_goes() -> None:
    clock = ManualClock(NOW)
    store = MemoryKeyValue(clock)
    guard = ReplayGuard(store, clock)
    await guard.spend(grant())
    clock.advance(100)
    with pytest.raises(VoxgateError, match="token_replayed"):
        await guard.spend(grant())
    clock.advance(5)
    await guard.spend(grant("other"))
    assert len(store) == 1


async def test_when_nothing_can_be_recorded_the_token_is_refused() -> None:
    clock = ManualClock(NOW)
    guard = ReplayGuard(MemoryKeyValue(clock, max_entries=0), clock)
    with pytest.raises(VoxgateError, match="unavailable"):
        await guard.spend(grant())
