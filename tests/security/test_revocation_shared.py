"""Revocations over a store that is far away: what holds while an answer, or a write, is still on its way."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.security.rig import NOW, MeddledKeyValue
from voxgate_core import Grant, ManualClock, VoxgateError
from voxgate_security import Revocation, Revocations
from voxgate_security.revocation import MAX_ATTEMPTS, PREFIX, RECENT

GRANT = Grant("alice", "s", "t", None, frozenset({"realtime"}), NOW, NOW + 100)
WRITES = ("put", "put_if_absent", "compare_and_set")


async def nothing(_: str, __: str) -> None:
    return None


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Far:
    """A store, and two nodes over it."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.store = MeddledKeyValue(self.clock, nothing)
        self.here = Revocations(self.store, self.clock)
        self.there = Revocations(self.store, self.clock)

    def once(self, when: Callable[[str, str], bool], act: Callable[[], Awaitable[object]]) -> None:
        """Do something before the first call that ``when`` describes."""

        async def meddle(method: str, key: str) -> None:
            if when(method, key):
                self.store.meddle = nothing
                await act()

        self.store.meddle = meddle


@pytest.mark.parametrize("place", [0, 1])
async def test_a_watch_that_begins_while_a_revocation_is_being_written_hears_of_it(place: int) -> None:
    far = Far()
    heard: list[Revocation] = []
    watches: list[asyncio.Task[None]] = []
    writes = 0

    async def begin_at_a_write(method: str, _: str) -> None:
        nonlocal writes
        if method in WRITES:
            if writes == place:
                watches.append(asyncio.create_task(far.here.watch(heard.append)))
                await turns()
            writes += 1

    far.store.meddle = begin_at_a_write
    await far.there.revoke(jti="t")
    await turns()
    watches[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await watches[0]
    assert writes == 2
    assert {revocation.value for revocation in heard} == {"t"}


@pytest.mark.parametrize("revoked", ["before", "meanwhile", "other"])
async def test_what_is_heard_while_a_slow_look_up_is_under_way_counts(revoked: str) -> None:
    far = Far()
    heard: list[Revocation] = []
    watch = asyncio.create_task(far.here.watch(heard.append))
    await turns()

    async def revoke() -> None:
        await far.there.revoke(jti="u" if revoked == "other" else "t")
        await turns()

    if revoked == "before":
        await revoke()
    else:  # the token's own record has been looked up by then, and was not there
        far.once(lambda _, key: key.startswith(f"{PREFIX}sub."), revoke)
    if revoked == "other":
        await far.here.check(GRANT)
    else:
        with pytest.raises(VoxgateError, match="token_revoked"):
            await far.here.check(GRANT)
    assert len(heard) == 1
    assert not far.here._checks
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch


@pytest.mark.parametrize("again", [False, True])
async def test_a_slow_revocation_does_not_undo_a_later_one(again: bool) -> None:
    far = Far()
    if again:  # there is a record already, that both are going to replace
        await far.there.revoke(subject="alice")
        far.clock.advance(1)

    async def overtake() -> None:
        far.clock.advance(10)
        await far.there.revoke(subject="alice")

    far.once(lambda method, key: method in WRITES and key.startswith(f"{PREFIX}sub."), overtake)
    recorded = await far.here.revoke(subject="alice")
    assert recorded.revoked_at == far.clock.now()
    late = Grant("alice", "s", "t", None, frozenset({"realtime"}), recorded.revoked_at, recorded.revoked_at + 100)
    with pytest.raises(VoxgateError, match="token_revoked"):
        await far.here.check(late)


async def test_a_revocation_that_is_repeated_is_heard_of_again_and_kept_longer() -> None:
    far = Far()
    await far.there.revoke(jti="t")
    far.clock.advance(7000)
    await far.there.revoke(jti="t")
    far.clock.advance(7000)
    with pytest.raises(VoxgateError, match="token_revoked"):
        await far.here.check(GRANT)


@pytest.mark.parametrize("failing", ["get", "put_if_absent", "compare_and_set"])
@pytest.mark.parametrize("prefix", [PREFIX, RECENT])
async def test_a_revocation_that_could_not_be_written_down_says_so(failing: str, prefix: str) -> None:
    far = Far()
    if failing == "compare_and_set":
        await far.here.revoke(jti="t")

    async def fail(method: str, key: str) -> None:
        if method == failing and key.startswith(prefix):
            raise VoxgateError("unavailable")

    far.store.meddle = fail
    with pytest.raises(VoxgateError, match="unavailable"):
        await far.here.revoke(jti="t")


async def test_attempts_to_write_down_what_others_write_are_bounded() -> None:
    far = Far()
    attempts = 0

    async def interfere(method: str, key: str) -> None:
        nonlocal attempts
        if method == "compare_and_set" and key.startswith(PREFIX):
            attempts += 1
            await far.store.put(key, (await far.store.scan(key))[key].value)

    await far.here.revoke(jti="t")
    far.store.meddle = interfere
    with pytest.raises(VoxgateError, match="unavailable"):
        await far.here.revoke(jti="t")
    assert attempts == MAX_ATTEMPTS


async def test_when_the_store_cannot_be_asked_no_token_is_good() -> None:
    far = Far()

    async def fail(_: str, __: str) -> None:
        raise VoxgateError("unavailable")

    far.store.meddle = fail
    with pytest.raises(VoxgateError, match="unavailable"):
        await far.here.check(GRANT)
    assert not far.here._checks
