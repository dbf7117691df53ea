"""Revocations void what they name, reach every watcher, and survive what a watcher misses."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.security.rig import NOW, World
from voxgate_core import Change, Clock, Entry, Grant, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_security import Revocation, RevocationKind, Revocations, TokenRequest
from voxgate_security.revocation import MAX_RECENT, PREFIX, RECENT, REWATCH_SECONDS


def grant(issued_at: int = NOW, subject: str = "alice", token_id: str = "t", session_id: str = "s") -> Grant:
    return Grant(subject, session_id, token_id, None, frozenset({"realtime"}), issued_at, issued_at + 100)


async def revoked(revocations: Revocations, subject: Grant) -> bool:
    try:
        await revocations.check(subject)
    except VoxgateError as error:
        if error.code == "token_revoked":
            return True
        raise
    return False


class Seen:
    """Collects revocations, and lets a test wait for the next one."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Revocation] = asyncio.Queue()

    def __call__(self, revocation: Revocation) -> None:
        self.queue.put_nowait(revocation)

    async def next(self) -> Revocation:
        return await asyncio.wait_for(self.queue.get(), 5)


@asynccontextmanager
async def watching(revocations: Revocations, callback: "Seen") -> AsyncIterator[None]:
    task = asyncio.create_task(revocations.watch(callback))
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_token_and_a_session_are_revoked_for_good() -> None:
    world = World()
    await world.revocations.revoke(jti="t")
    await world.revocations.revoke(session_id="s2")
    world.clock.advance(1000)
    assert await revoked(world.revocations, grant())
    assert await revoked(world.revocations, grant(NOW + 1000))
    assert await revoked(world.revocations, grant(token_id="u", session_id="s2"))
    assert not await revoked(world.revocations, grant(token_id="u"))


async def test_one_connection_of_a_token_stands_for_the_token() -> None:
    world = World()
    revocation = await world.revocations.revoke(session_id=grant().for_connection().session_id)
    assert revocation.value == "s"
    assert await revoked(world.revocations, grant())


async def test_a_revoked_subject_gets_a_good_token_a_second_later() -> None:
    world = World()
    world.clock.advance(0.7)
    before = world.issuer.issue(TokenRequest("alice")).token
    await world.revocations.revoke(subject="alice")
    same_second = world.issuer.issue(TokenRequest("alice")).token
    world.clock.advance(0.3)
    after = world.issuer.issue(TokenRequest("alice")).token
    other = world.issuer.issue(TokenRequest("bob")).token
    for void in (before, same_second):
        with pytest.raises(VoxgateError, match="token_revoked"):
            await world.verifier.verify(void, origin=None, single_use=True)
    for good in (after, other):
        await world.verifier.verify(good, origin=None, single_use=True)


async def test_a_later_revocation_of_a_subject_moves_the_line() -> None:
    world = World()
    await world.revocations.revoke(subject="alice")
    world.clock.advance(10)
    await world.revocations.revoke(subject="alice")
    assert await revoked(world.revocations, grant(NOW + 10))
    assert not await revoked(world.revocations, grant(NOW + 11))


async def test_exactly_one_thing_is_named() -> None:
    revocations = World().revocations
    with pytest.raises(TypeError):
        await revocations.revoke()
    with pytest.raises(TypeError):
        await revocations.revoke(jti="a", subject="b")


async def test_a_revocation_is_forgotten_after_its_time() -> None:
    clock = ManualClock(NOW)
    store = MemoryKeyValue(clock)
    revocations = Revocations(store, clock, keep=60)
    await revocations.revoke(jti="t")
    clock.advance(30)
    await revocations.revoke(jti="u")
    clock.advance(31)
    await revocations.revoke(jti="v")
    assert not await revoked(revocations, grant())
    entry = await store.get(RECENT)
    assert entry is not None
    assert b'"t"' not in entry.value
    assert b'"u"' in entry.value


async def test_keys_of_the_store_hold_no_subject() -> None:
    world = World()
    await world.revocations.revoke(subject="alice@example.com > all")
    assert not any("alice" in key or " " in key for key in world.store._entries)


async def test_a_watcher_hears_of_every_revocation_made_anywhere() -> None:
    world = World()
    seen = Seen()
    elsewhere = Revocations(world.store, world.clock)
    await elsewhere.revoke(jti="before")
    async with watching(world.revocations, seen):
        assert (await seen.next()).value == "before"
        await elsewhere.revoke(subject="alice")
        heard = await seen.next()
        assert heard == Revocation(RevocationKind.SUBJECT, "alice", NOW)
        assert heard.matches(grant(NOW))
        assert not heard.matches(grant(NOW + 1))
        assert not heard.matches(grant(subject="bob"))
        await elsewhere.revoke(session_id="s")
        assert (await seen.next()).matches(grant(NOW + 5))
        await world.store.delete(next(key for key in world.store._entries if key.startswith(PREFIX)))
        await elsewhere.revoke(jti="t")
        assert (await seen.next()).matches(grant(NOW + 5))


async def test_a_watcher_that_fell_behind_catches_up() -> None:
    world = World()
    seen = Seen()
    names = [f"t{n}" for n in range(1100)]
    async with watching(world.revocations, seen):
        await world.revocations.revoke(jti="first")
        await seen.next()
        for name in names:  # no turn of the loop between: the watcher's queue overflows
            await world.revocations.revoke(jti=name)
        heard = {"first"}
        while len(heard) < len(names) + 1:  # all of them, and not the latest that one record holds alone
            heard.add((await seen.next()).value)
    assert heard == {"first", *names}
    assert len(names) > 2 * MAX_RECENT


async def test_a_record_that_can_not_be_read_does_not_stop_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    seen = Seen()
    async with watching(world.revocations, seen):
        await world.revocations.revoke(jti="first")
        await seen.next()
        await world.store.put(f"{PREFIX}jti.broken", b"not a record", ttl=60)
        await world.revocations.revoke(jti="good")
        assert (await seen.next()).value == "good"
    assert "can't be read" in caplog.text
    assert "watching again" not in caplog.text


async def test_a_latest_revocation_that_only_a_newer_version_reads_hides_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, seen, theirs = World(), Seen(), b'{"kind":"fleet","value":"x","revoked_at":1}'
    await world.store.put(RECENT, b"[" + theirs + b"]", ttl=60)
    await world.revocations.revoke(jti="before")
    async with watching(world.revocations, seen):
        assert (await seen.next()).value == "before"
        await world.revocations.revoke(jti="after")
        assert (await seen.next()).value == "after"
    recent = await world.store.get(RECENT)
    assert recent is not None
    assert recent.value.startswith(b"[" + theirs + b",")
    assert "watching again" not in caplog.text


class BreakingOnce(MemoryKeyValue):
    """A store whose first watch breaks: as it begins, as it is caught up with, at its first change, or by ending."""

    def __init__(self, clock: Clock, where: str) -> None:
        super().__init__(clock)
        self.where = where

    def breaks(self, where: str) -> bool:
        if self.where != where:
            return False
        self.where = ""
        return True

    async def get(self, key: str) -> Entry | None:
        if key == RECENT and self.breaks("catching up"):
            raise VoxgateError("unavailable")
        return await super().get(key)

    @asynccontextmanager
    async def watch(self, prefix: str) -> AsyncIterator[AsyncIterator[Change]]:
        if self.breaks("beginning"):
            raise VoxgateError("unavailable")
        async with super().watch(prefix) as changes:
            yield self.broken(changes) if self.where in ("midway", "ending") else changes

    async def broken(self, changes: AsyncIterator[Change]) -> AsyncIterator[Change]:
        async for change in changes:
            if self.breaks("midway"):
                raise VoxgateError("unavailable")
            if self.breaks("ending"):
                return
            yield change


@pytest.mark.parametrize("where", ["beginning", "catching up", "midway", "ending"])
async def test_a_watch_that_breaks_is_taken_up_again_and_misses_nothing(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOW)
    seen, paused = Seen(), asyncio.Event()
    pauses: list[float] = []
    store = BreakingOnce(clock, "")
    revocations = Revocations(store, clock)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await revocations.revoke(jti="in the gap")
        paused.set()

    await revocations.revoke(jti="before")
    store.where = where
    async with watching(Revocations(store, clock, pause=pause), seen):
        if where in ("midway", "ending"):
            assert (await seen.next()).value == "before"
            await revocations.revoke(jti="swallowed")
        await asyncio.wait_for(paused.wait(), 5)
        await revocations.revoke(jti="after")
        heard = set()
        while "after" not in heard:
            heard.add((await seen.next()).value)
    assert heard >= {"before", "in the gap", "after"}
    assert ("swallowed" in heard) == (where in ("midway", "ending"))
    assert pauses == [REWATCH_SECONDS]
    assert ("watching again" in caplog.text) == (where != "ending")


async def test_one_callback_that_fails_does_not_stop_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    seen = Seen()

    class Failing(Seen):
        def __call__(self, revocation: Revocation) -> None:
            if revocation.value == "bad":
                raise RuntimeError("the socket is stuck")
            seen(revocation)

    async with watching(world.revocations, Failing()):
        await world.revocations.revoke(jti="bad")
        await world.revocations.revoke(jti="good")
        assert (await seen.next()).value == "good"
    assert "could not be acted upon" in caplog.text


class Contended(MemoryKeyValue):
    """A store in which somebody else always wrote first."""

    async def compare_and_set(self, key: str, value: bytes, *, revision: int, ttl: float | None = None) -> bool:
        return False

    async def put_if_absent(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        await self.put(key, b"[]")
        return False


async def test_a_revocation_that_cannot_be_recorded_says_so() -> None:
    clock = ManualClock(NOW)
    with pytest.raises(VoxgateError, match="unavailable"):
        await Revocations(Contended(clock), clock).revoke(jti="t")


@pytest.mark.parametrize("record", [b"", b"{", b'{"kind":"x","value":"t","revoked_at":1}'])
async def test_a_record_that_cannot_be_read_lets_nobody_in(record: bytes) -> None:
    world = World()
    await world.revocations.revoke(jti="t")
    for key in list(world.store._entries):
        await world.store.put(key, record)
    with pytest.raises(VoxgateError, match="unavailable"):
        await world.revocations.check(grant())
    with pytest.raises(VoxgateError, match="unavailable"):
        await world.revocations.revoke(jti="u")


async def test_logs_tell_what_kind_was_revoked_and_not_whom(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "voxgate.security"):
        await World().revocations.revoke(subject="alice@example.com")
    assert "revoked" in caplog.text
    assert "alice" not in "".join(str(record.__dict__) for record in caplog.records)
