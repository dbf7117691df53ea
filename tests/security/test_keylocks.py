"""Callers of one key take turns, those of others do not wait, and nothing stays behind."""

import asyncio

import pytest

from voxgate_core import VoxgateError
from voxgate_security.keylocks import KeyLocks


async def hold(locks: KeyLocks, key: str, until: asyncio.Event, entered: list[str], name: str) -> None:
    async with locks.hold(key):
        entered.append(name)
        await until.wait()


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_key_is_held_by_one_caller_and_then_the_next_in_order() -> None:
    locks, entered = KeyLocks(), list[str]()
    gates = [asyncio.Event() for _ in range(3)]
    tasks = [asyncio.create_task(hold(locks, "a", gate, entered, str(n))) for n, gate in enumerate(gates)]
    other = asyncio.create_task(hold(locks, "b", gates[0], entered, "other"))
    await turn()
    assert entered == ["0", "other"]
    for number, gate in enumerate(gates):
        gate.set()
        await tasks[number]
        await turn()
        assert entered[2:] == ["1", "2"][: number + 1]
    await other
    assert len(locks) == 0


async def test_no_lock_is_leaked_by_callers_that_fail_or_are_cancelled() -> None:
    locks, entered = KeyLocks(), list[str]()
    forever = asyncio.Event()
    holding = asyncio.create_task(hold(locks, "a", forever, entered, "holding"))
    waiting = [asyncio.create_task(hold(locks, "a", forever, entered, "waiting")) for _ in range(3)]
    await turn()
    for task in (waiting[0], holding, waiting[2]):
        task.cancel()
    await asyncio.gather(holding, waiting[0], waiting[2], return_exceptions=True)
    await turn()
    assert entered == ["holding", "waiting"]
    forever.set()
    await waiting[1]
    with pytest.raises(RuntimeError):
        async with locks.hold("a"):
            raise RuntimeError
    assert len(locks) == 0


async def test_too_many_callers_of_one_key_are_refused_and_those_of_another_are_not() -> None:
    locks, entered = KeyLocks(max_callers=2), list[str]()
    gate = asyncio.Event()
    tasks = [asyncio.create_task(hold(locks, "a", gate, entered, "a")) for _ in range(2)]
    await turn()
    with pytest.raises(VoxgateError, match="unavailable"):
        await hold(locks, "a", gate, entered, "late")
    gate.set()
    await hold(locks, "b", gate, entered, "b")
    await asyncio.gather(*tasks)
    await hold(locks, "a", gate, entered, "again")
    assert (len(locks), "late" in entered) == (0, False)


async def test_too_many_keys_at_once_are_refused() -> None:
    locks, entered = KeyLocks(max_keys=2), list[str]()
    gate = asyncio.Event()
    tasks = [asyncio.create_task(hold(locks, key, gate, entered, key)) for key in ("a", "b")]
    await turn()
    with pytest.raises(VoxgateError, match="unavailable"):
        await hold(locks, "c", gate, entered, "c")
    gate.set()
    await asyncio.gather(*tasks)
    await hold(locks, "c", gate, entered, "c")
    assert len(locks) == 0
