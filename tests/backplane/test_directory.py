import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.backplane.rig import connection_to, within
from tests.backplane.servers import Pauses, hearing, running_server
from voxgate_backplane.directory import BEAT_SECONDS, LEAVE_SECONDS, NODE_SECONDS, NODES, SESSION_SECONDS, Directory
from voxgate_backplane.keyvalue import NatsKeyValue
from voxgate_backplane.names import Names
from voxgate_core import KeyValue, ManualClock, MemoryKeyValue, Place, SessionDirectory, VoxgateError

ONE = Place("node-1", "http://10.0.0.1:8080")
TWO = Place("node-2", "http://10.0.0.2:8080")


class House:
    """Two nodes over one store."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store: KeyValue = MemoryKeyValue(self.clock)
        self.pauses = Pauses()
        self.one = Directory(self.store, ONE, pause=self.pauses)
        self.two = Directory(self.store, TWO, pause=self.pauses)


@pytest.fixture
def house() -> House:
    return House()


@asynccontextmanager
async def living(directory: Directory, pauses: Pauses) -> "AsyncIterator[asyncio.Task[None]]":
    """While the block runs the node lives; it has said so once at its beginning."""
    life = asyncio.create_task(directory.live())
    assert await within(pauses.asked.get()) == BEAT_SECONDS
    try:
        yield life
    finally:
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


def test_it_fits_the_port(house: House) -> None:
    directory: SessionDirectory = house.one
    assert isinstance(directory, Directory)


async def test_a_session_is_found_where_it_was_announced(house: House) -> None:
    async with living(house.one, house.pauses), living(house.two, house.pauses):
        await house.one.announce("sess-1")
        await house.two.announce("sess-2")
        for directory in (house.one, house.two):
            assert await directory.find("sess-1") == ONE
            assert await directory.find("sess-2") == TWO
            assert await directory.find("sess-3") is None


async def test_a_session_that_was_withdrawn_is_found_nowhere(house: House) -> None:
    async with living(house.one, house.pauses):
        await house.one.announce("sess")
        await house.one.withdraw("sess")
        assert await house.two.find("sess") is None
        await house.one.withdraw("sess")
        await house.one.withdraw("never-there")
        assert await house.two.find("sess") is None


async def test_a_session_that_moved_stays_where_it_went(house: House) -> None:
    async with living(house.one, house.pauses), living(house.two, house.pauses):
        await house.one.announce("sess")
        await house.two.announce("sess")
        await house.one.withdraw("sess")
        assert await house.one.find("sess") == TWO


async def test_a_session_that_moves_in_the_midst_of_its_withdrawal_stays_where_it_went(house: House) -> None:
    class Moving(MemoryKeyValue):
        async def compare_and_set(self, key: str, value: bytes, *, revision: int, ttl: float | None = None) -> bool:
            await house.two.announce("sess")
            return await super().compare_and_set(key, value, revision=revision, ttl=ttl)

    house.store = Moving(house.clock)
    house.one, house.two = (Directory(house.store, place, pause=house.pauses) for place in (ONE, TWO))
    async with living(house.two, house.pauses):
        await house.one.announce("sess")
        await house.one.withdraw("sess")
        assert await house.one.find("sess") == TWO


async def test_a_session_comes_back_to_the_node_it_left(house: House) -> None:
    async with living(house.one, house.pauses):
        await house.one.announce("sess")
        await house.one.withdraw("sess")
        await house.one.announce("sess")
        assert await house.two.find("sess") == ONE


async def test_a_node_that_says_nothing_is_gone_and_its_sessions_with_it(house: House) -> None:
    async with living(house.one, house.pauses):
        await house.one.announce("sess")
        house.clock.advance(NODE_SECONDS - 0.5)
        assert await house.two.find("sess") == ONE
        house.clock.advance(0.5)
        assert await house.two.find("sess") is None
        assert await house.two.nodes() == ()
        house.pauses.release()
        await within(house.pauses.asked.get())
        assert await house.two.find("sess") == ONE


async def test_a_node_that_beats_stays(house: House) -> None:
    async with living(house.one, house.pauses):
        for _ in range(20):
            house.clock.advance(BEAT_SECONDS)
            house.pauses.release()
            await within(house.pauses.asked.get())
        assert await house.two.nodes() == (ONE,)


async def test_a_node_that_stops_living_says_so(house: House) -> None:
    async with living(house.two, house.pauses):
        async with living(house.one, house.pauses):
            await house.one.announce("sess")
            assert await house.two.nodes() == (ONE, TWO)
        assert await house.two.nodes() == (TWO,)
        assert await house.two.find("sess") is None


async def test_an_entry_outlives_the_longest_session_and_no_more(house: House) -> None:
    await house.one.announce("sess")
    async with living(house.one, house.pauses):
        house.clock.advance(SESSION_SECONDS - 1)
        house.pauses.release()
        await within(house.pauses.asked.get())
        assert await house.two.find("sess") == ONE
        house.clock.advance(1)
        assert await house.two.find("sess") is None


@pytest.mark.parametrize("session_id", ["", "a.b", "*", ">", "a b", "\r\n", "ä", "x" * 129])
async def test_an_id_that_can_be_none_is_found_nowhere_and_never_announced(house: House, session_id: str) -> None:
    assert await house.one.find(session_id) is None
    with pytest.raises(ValueError, match="has at most"):
        await house.one.announce(session_id)


def test_a_node_has_an_id_that_can_be_a_key(house: House) -> None:
    with pytest.raises(ValueError, match="has at most"):
        Directory(house.store, Place("a.b", "http://10.0.0.1"))


async def test_the_record_of_a_node_that_can_not_be_read_is_a_fault(house: House) -> None:
    await house.one.announce("sess")
    await house.store.put(NODES + ONE.node, b"{")
    for call in (house.two.find("sess"), house.two.nodes()):
        with pytest.raises(VoxgateError, match="can't be read") as refused:
            await call
        assert refused.value.code == "unavailable"


class Broken(MemoryKeyValue):
    """A store that can't be written, and takes its time over deletes."""

    hangs = False

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> int:
        raise VoxgateError("unavailable")

    async def delete(self, key: str) -> bool:
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        raise VoxgateError("unavailable")


async def test_a_node_goes_on_beating_when_the_store_fails(house: House) -> None:
    with hearing() as log:
        async with living(Directory(Broken(house.clock), ONE, pause=house.pauses), house.pauses) as life:
            await within(log.wait_for("could not say that it lives"))
            house.pauses.release()
            await within(log.wait_for("could not say that it lives"))
            assert not life.done()
        await within(log.wait_for("could not say that it leaves"))


async def test_a_node_leaves_in_time_when_the_store_hangs(house: House) -> None:
    store = Broken(house.clock)
    store.hangs = True
    loop = asyncio.get_running_loop()
    async with living(Directory(store, ONE, pause=house.pauses), house.pauses):
        started = loop.time()
    assert loop.time() - started < LEAVE_SECONDS + 1


async def test_it_works_over_nats(tmp_path: Path) -> None:
    pauses = Pauses()
    async with running_server(tmp_path) as server, connection_to(server) as here, connection_to(server) as there:
        one = Directory(await NatsKeyValue.open(here, Names("test")), ONE, pause=pauses)
        two = Directory(await NatsKeyValue.open(there, Names("test")), TWO, pause=pauses)
        async with living(one, pauses):
            async with living(two, pauses):
                await two.announce("sess")
                assert await one.find("sess") == TWO
                assert await one.nodes() == (ONE, TWO)
                await one.announce("sess")
                await two.withdraw("sess")
            assert await two.find("sess") == ONE
            assert await two.nodes() == (ONE,)
