"""Quotas of several nodes over one store: what holds when they meet, when the store fails, and when clocks differ."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from tests.security.rig import NOW, MeddledKeyValue
from voxgate_core import Clock, KeyValue, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_security import IssuanceQuotas
from voxgate_security.quotas import MAX_ATTEMPTS, PREFIX

Meddle = Callable[[str, str], Awaitable[None]]
HERE = "192.0.2.1"


async def nothing(_: str, __: str) -> None:
    return None


def some_turns(seed: int) -> Meddle:
    """Lets other tasks run before every call, none to four turns of the loop."""
    chance = random.Random(seed)

    async def meddle(_: str, __: str) -> None:
        for _turn in range(chance.randint(0, 4)):
            await asyncio.sleep(0)

    return meddle


async def outcome(quotas: IssuanceQuotas, subject: str, address: str = HERE) -> str:
    try:
        await quotas.spend(subject=subject, address=address)
    except VoxgateError as error:
        return error.code
    return "let through"


def nodes(count: int, per_subject: str, per_address: str, store: KeyValue, clock: Clock) -> list[IssuanceQuotas]:
    return [IssuanceQuotas(per_subject, per_address, store=store, clock=clock) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("per_subject", ["50/minute", "90/minute"])
async def test_of_many_concurrent_requests_exactly_the_quota_is_let_through(count: int, per_subject: str) -> None:
    clock = ManualClock(NOW)
    store = MeddledKeyValue(clock, some_turns(count))
    here = nodes(count, per_subject, "1000/minute", store, clock)
    outcomes = Counter(await asyncio.gather(*(outcome(here[n % count], "alice") for n in range(300))))
    quota = int(per_subject.partition("/")[0])
    assert outcomes == {"let through": quota, "quota_exceeded": 300 - quota}
    headers = await here[0].spend(subject="bob", address=HERE)
    assert f'"address";r={1000 - quota - 1};' in headers["RateLimit"]
    assert [len(node._locks) for node in here] == [0] * count


@pytest.mark.parametrize("count", [1, 2])
async def test_of_many_subjects_at_one_address_the_refused_are_not_charged(count: int) -> None:
    clock = ManualClock(NOW)
    store = MeddledKeyValue(clock, some_turns(7))
    here = nodes(count, "2/minute", "30/minute", store, clock)
    subjects = [f"s{number}" for number in range(100)]
    outcomes = await asyncio.gather(*(outcome(here[n % count], subject) for n, subject in enumerate(subjects)))
    assert Counter(outcomes) == {"let through": 30, "quota_exceeded": 70}
    for number, (subject, result) in enumerate(zip(subjects, outcomes, strict=True)):
        headers = await here[0].spend(subject=subject, address=f"198.51.100.{number}")
        assert headers["RateLimit"].startswith(f'"subject";r={0 if result == "let through" else 1};')


async def test_a_subject_gets_its_charge_back_when_another_node_takes_the_last_place_of_the_address() -> None:
    clock = ManualClock(NOW)
    store = MeddledKeyValue(clock, nothing)
    here, there = nodes(2, "2/minute", "1/minute", store, clock)

    async def race(method: str, key: str) -> None:
        if method == "put_if_absent" and key.startswith(PREFIX + "address"):
            store.meddle = nothing
            await there.spend(subject="bob", address=HERE)

    store.meddle = race
    with pytest.raises(VoxgateError, match="quota_exceeded") as caught:
        await here.spend(subject="alice", address=HERE)
    assert caught.value.retry_after == 60
    assert caught.value.headers["RateLimit"] == '"subject";r=2;t=60, "address";r=0;t=60'


async def test_the_last_place_of_a_subject_that_another_node_takes_is_refused_too() -> None:
    clock = ManualClock(NOW)
    store = MeddledKeyValue(clock, nothing)
    here, there = nodes(2, "1/minute", "9/minute", store, clock)

    async def race(method: str, _: str) -> None:
        if method == "put_if_absent":
            store.meddle = nothing
            await there.spend(subject="alice", address="192.0.2.9")

    store.meddle = race
    assert await outcome(here, "alice") == "quota_exceeded"
    assert '"address";r=8;' in (await here.spend(subject="bob", address=HERE))["RateLimit"]


class Counted(MeddledKeyValue):
    """Counts the writes that were made, and those that somebody else had come before."""

    def __init__(self, clock: Clock, meddle: Meddle) -> None:
        super().__init__(clock, meddle)
        self.writes = Counter[bool]()

    async def put_if_absent(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        done = await super().put_if_absent(key, value, ttl=ttl)
        self.writes[done] += 1
        return done

    async def compare_and_set(self, key: str, value: bytes, *, revision: int, ttl: float | None = None) -> bool:
        done = await super().compare_and_set(key, value, revision=revision, ttl=ttl)
        self.writes[done] += 1
        return done


@pytest.mark.parametrize(("subjects", "addresses", "let_through"), [(20, 1, 40), (1, 20, 3), (20, 20, 60)])
async def test_callers_of_one_process_take_turns_and_a_refusal_writes_nothing(
    subjects: int, addresses: int, let_through: int
) -> None:
    clock = ManualClock(NOW)
    store = Counted(clock, some_turns(5))
    quotas = nodes(1, "3/minute", "40/minute", store, clock)[0]
    asked = [(f"s{number % subjects}", f"192.0.2.{number % addresses}") for number in range(100)]
    outcomes = await asyncio.gather(*(outcome(quotas, *pair) for pair in asked))
    assert Counter(outcomes) == {"let through": let_through, "quota_exceeded": 100 - let_through}
    assert store.writes == {True: 2 * let_through}


@pytest.mark.parametrize("failing", ["get", "put_if_absent", "compare_and_set"])
@pytest.mark.parametrize("which", ["subject", "address"])
async def test_a_store_that_fails_lets_nobody_through(failing: str, which: str) -> None:
    clock = ManualClock(NOW)
    store = MeddledKeyValue(clock, nothing)
    quotas = nodes(1, "9/minute", "9/minute", store, clock)[0]
    if failing == "compare_and_set":
        await quotas.spend(subject="alice", address=HERE)

    async def fail(method: str, key: str) -> None:
        if method == failing and key.startswith(PREFIX + which):
            raise VoxgateError("unavailable")

    store.meddle = fail
    assert await outcome(quotas, "alice") == "unavailable"
    store.meddle = nothing
    left = 7 if failing == "compare_and_set" else 8
    headers = await quotas.spend(subject="alice", address=HERE)
    assert headers["RateLimit"] == f'"subject";r={left};t=60, "address";r={left};t=60'


async def test_a_store_that_never_answers_is_not_waited_for() -> None:
    clock = ManualClock(NOW)
    never = asyncio.Event()

    async def hang(_: str, __: str) -> None:
        await never.wait()

    quotas = IssuanceQuotas(store=MeddledKeyValue(clock, hang), clock=clock, patience=0)
    results = await asyncio.gather(*(outcome(quotas, "alice") for _ in range(5)))
    assert results == ["unavailable"] * 5
    assert len(quotas._locks) == 0


class Contended(MemoryKeyValue):
    """A store in which somebody else always wrote first."""

    def __init__(self, clock: Clock, which: str) -> None:
        super().__init__(clock)
        self.which = which
        self.lost = 0

    async def put_if_absent(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        if not key.startswith(PREFIX + self.which):
            return await super().put_if_absent(key, value, ttl=ttl)
        self.lost += 1
        return False


@pytest.mark.parametrize("which", ["subject", "address"])
async def test_attempts_to_write_a_record_that_others_write_are_bounded(which: str) -> None:
    clock = ManualClock(NOW)
    store = Contended(clock, which)
    quotas = nodes(1, "9/minute", "9/minute", store, clock)[0]
    assert await outcome(quotas, "alice") == "unavailable"
    assert store.lost == MAX_ATTEMPTS
    store.which = "nothing"
    headers = await quotas.spend(subject="alice", address=HERE)
    assert headers["RateLimit"] == '"subject";r=8;t=60, "address";r=8;t=60'


async def test_attempts_to_give_a_charge_back_are_bounded() -> None:
    clock = ManualClock(NOW)
    store = MeddledKeyValue(clock, nothing)
    quotas = nodes(1, "99/minute", "99/minute", store, clock)[0]
    tries = Counter[str]()

    async def interfere(method: str, key: str) -> None:
        tries[f"{method} {key.split('.')[2]}"] += 1
        if method == "put_if_absent" and "address" in key:
            raise VoxgateError("unavailable")
        if method == "compare_and_set":
            await store.put(key, (await store.scan(key))[key].value)

    store.meddle = interfere
    assert await outcome(quotas, "alice") == "unavailable"
    assert tries["compare_and_set subject"] == MAX_ATTEMPTS


async def test_a_record_that_cannot_be_read_lets_nobody_through() -> None:
    clock = ManualClock(NOW)
    store = MemoryKeyValue(clock)
    quotas = nodes(1, "9/minute", "9/minute", store, clock)[0]
    await quotas.spend(subject="alice", address=HERE)
    for key in await store.scan(PREFIX):
        await store.put(key, b"\xc1", ttl=60)
    assert await outcome(quotas, "alice") == "unavailable"
    clock.advance(60)
    assert await outcome(quotas, "alice") == "let through"


class Ahead:
    """A clock that is ``seconds`` ahead of another."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds

    def now(self) -> float:
        return self.clock.now() + self.seconds

    def monotonic(self) -> float:
        return self.clock.monotonic()


@pytest.mark.parametrize("quota", [10, 100])
async def test_two_nodes_whose_clocks_differ_let_no_more_than_the_quota_through_together(quota: int) -> None:
    clock = ManualClock(NOW)
    store = MeddledKeyValue(clock, some_turns(3))
    both = [
        IssuanceQuotas(f"{quota}/minute", "9999/minute", store=store, clock=node) for node in (clock, Ahead(clock, 3))
    ]
    outcomes = await asyncio.gather(*(outcome(both[n % 2], "alice") for n in range(2 * quota)))
    assert outcomes.count("let through") == quota
    clock.advance(56.5)
    assert [await outcome(node, "alice") for node in both] == ["quota_exceeded"] * 2


async def test_a_hit_leaves_a_window_early_or_late_by_no_more_than_the_clocks_differ() -> None:
    clock = ManualClock(NOW)
    store = MemoryKeyValue(clock)
    slow, fast = (IssuanceQuotas("1/minute", "9/minute", store=store, clock=node) for node in (clock, Ahead(clock, 3)))
    await slow.spend(subject="alice", address=HERE)
    clock.advance(57)
    await fast.spend(subject="alice", address=HERE)
    clock.advance(59)
    assert [await outcome(node, "alice") for node in (slow, fast)] == ["quota_exceeded"] * 2
    clock.advance(1)
    await slow.spend(subject="alice", address=HERE)


async def test_a_node_whose_clock_is_wrong_by_years_locks_nobody_out_for_longer_than_a_window() -> None:
    clock = ManualClock(NOW)
    store = MemoryKeyValue(clock)
    wrong = IssuanceQuotas("1/minute", "9/minute", store=store, clock=Ahead(clock, 1e8))
    right = IssuanceQuotas("1/minute", "9/minute", store=store, clock=clock)
    await wrong.spend(subject="alice", address=HERE)
    with pytest.raises(VoxgateError, match="quota_exceeded") as caught:
        await right.spend(subject="alice", address=HERE)
    assert caught.value.retry_after == 60
    clock.advance(60)
    await right.spend(subject="alice", address=HERE)
