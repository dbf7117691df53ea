import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.backplane.rig import Proxy, connection_to, kill, until, within
from tests.backplane.servers import Pauses, running_server
from tests.helpers.keyvalue_contract import KeyValueContract, Shared, next_change
from voxgate_backplane.client import PATIENCE_SECONDS, Connection
from voxgate_backplane.keyvalue import NatsKeyValue
from voxgate_backplane.names import Names
from voxgate_core import Change, Entry, KeyValue, ManualClock, VoxgateError

NAMES = Names("test")


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        yield connection


@pytest.fixture
async def store(connection: Connection) -> KeyValue:
    return await NatsKeyValue.open(connection, NAMES)


class TestContract(KeyValueContract):
    @pytest.fixture
    async def shared(self, tmp_path: Path) -> AsyncIterator[Shared]:
        clock = ManualClock()
        async with (
            running_server(tmp_path) as server,
            connection_to(server) as one,
            connection_to(server) as two,
        ):
            store = await NatsKeyValue.open(one, NAMES, clock=clock)
            yield Shared(store, await NatsKeyValue.open(two, NAMES, clock=clock), clock)


class TestContractOverTheLeader(KeyValueContract):
    """The way in which values are read from a cluster, with a server that is leader and only member."""

    @pytest.fixture
    async def shared(self, tmp_path: Path) -> AsyncIterator[Shared]:
        clock = ManualClock()
        async with running_server(tmp_path) as server, connection_to(server) as connection:
            await NatsKeyValue.open(connection, NAMES)
            store = NatsKeyValue(connection, NAMES, replicas=3, clock=clock)
            yield Shared(store, store, clock)


@pytest.mark.parametrize("key", ["", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "a\r\nPUB x 0\r\n", "ä", "x" * 257])
async def test_a_key_that_can_be_no_subject_is_refused_by_every_method(store: KeyValue, key: str) -> None:
    for call in (
        store.get(key),
        store.put(key, b""),
        store.put_if_absent(key, b""),
        store.compare_and_set(key, b"", revision=1),
        store.delete(key),
    ):
        with pytest.raises(ValueError, match="a key has at most"):
            await call
    assert await store.scan("") == {}


async def test_a_prefix_that_covers_no_subject_is_refused(store: KeyValue) -> None:
    with pytest.raises(ValueError, match="a key has at most"):
        await store.scan("a.*.b")
    with pytest.raises(ValueError, match="a key has at most"):
        async with store.watch("a.>."):
            pass


async def test_the_server_clears_away_what_has_expired(connection: Connection) -> None:
    clock = ManualClock()
    store = await NatsKeyValue.open(connection, NAMES, clock=clock)
    async with store.watch("") as changes:
        await store.put("key", b"value", ttl=0)

        async def is_cleared_away() -> bool:
            return not (await connection.api("STREAM.INFO.KV_test"))["state"]["messages"]

        await until(is_cleared_away)
        assert await store.put_if_absent("key", b"new")
        assert [await next_change(changes), await next_change(changes)] == [
            Change("key", b"value"),
            Change("key", b"new"),  # and no word of the expiry in between
        ]


async def test_an_expired_key_that_is_still_stored_may_be_claimed(connection: Connection) -> None:
    clock = ManualClock()
    store = await NatsKeyValue.open(connection, NAMES, clock=clock)
    await store.put("key", b"old", ttl=1_000)
    clock.advance(1_000)
    assert (await connection.api("STREAM.INFO.KV_test"))["state"]["messages"] == 1
    assert not await store.delete("key")
    assert await store.put_if_absent("key", b"new", ttl=1_000)
    assert not await store.put_if_absent("key", b"newer", ttl=1_000)


async def test_a_key_deleted_by_the_nats_tool_is_gone(connection: Connection, store: KeyValue) -> None:
    await store.put("key", b"value")
    async with store.watch("key") as changes:
        await connection.publish("$KV.test.key", b"", {"KV-Operation": "DEL"})
        assert await next_change(changes) == Change("key", None)
    assert await store.get("key") is None
    assert await store.put_if_absent("key", b"new")


async def test_values_outlive_a_killed_server(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        store = await NatsKeyValue.open(connection, NAMES)
        await store.put("key", b"value")
        before = await store.get("key")
        await kill(server)
        assert await within(store.get("key")) == before
        assert not await store.put_if_absent("key", b"other")


async def test_a_value_that_no_server_takes_is_refused_and_harms_nobody(
    connection: Connection, store: KeyValue
) -> None:
    for size in (connection.client.max_payload + 1, connection.client.max_payload - 1):
        with pytest.raises(VoxgateError) as refused:
            await store.put("key", bytes(size))
        assert refused.value.code == "body_too_large"
    assert await store.put_if_absent("key", b"value")
    assert connection.client.stats["reconnects"] == 0


async def test_a_full_store_refuses_at_once_and_forgets_nothing(connection: Connection) -> None:
    store = await NatsKeyValue.open(connection, NAMES, max_bytes=20_000)
    loop = asyncio.get_running_loop()
    for number in range(15):
        await store.put(f"key.{number}", bytes(1_000))
    started = loop.time()
    with pytest.raises(VoxgateError) as refused:
        await store.put("key", bytes(10_000))
    assert refused.value.code == "unavailable"
    assert loop.time() - started < PATIENCE_SECONDS / 4
    assert len(await store.scan("")) == 15


class TestLostAnswers:
    """The server did what it was asked, and its answer never came."""

    @pytest.fixture(params=["the connection breaks", "the answer is lost"])
    async def lossy(self, tmp_path: Path, request: pytest.FixtureRequest) -> "AsyncIterator[Lossy]":
        async with running_server(tmp_path) as server, Proxy.before(server) as proxy:
            async with connection_to(server) as straight, connection_to(server, through=proxy) as crooked:
                store = await NatsKeyValue.open(straight, NAMES)
                lossy = await NatsKeyValue.open(crooked, NAMES)
                yield Lossy(proxy, lossy, store, cut=request.param == "the connection breaks")

    async def test_a_claim_recognises_itself(self, lossy: "Lossy") -> None:
        lossy.lose_answer()
        assert await within(lossy.store.put_if_absent("key", b"mine"))
        assert lossy.proxy.lost.is_set()
        assert (await lossy.entry("key")).value == b"mine"
        assert not await lossy.straight.put_if_absent("key", b"theirs")

    async def test_an_update_recognises_itself(self, lossy: "Lossy") -> None:
        revision = await lossy.straight.put("key", b"1")
        lossy.lose_answer()
        assert await within(lossy.store.compare_and_set("key", b"2", revision=revision))
        assert lossy.proxy.lost.is_set()
        assert (await lossy.entry("key")).value == b"2"

    async def test_a_deletion_recognises_itself(self, lossy: "Lossy") -> None:
        await lossy.straight.put("key", b"1")
        lossy.lose_answer()
        assert await within(lossy.store.delete("key"))
        assert lossy.proxy.lost.is_set()
        assert await lossy.straight.get("key") is None

    async def test_a_write_is_made(self, lossy: "Lossy") -> None:
        lossy.lose_answer()
        revision = await within(lossy.store.put("key", b"1"))
        assert lossy.proxy.lost.is_set()
        assert await lossy.entry("key") == Entry(b"1", revision, None)


class Lossy:
    def __init__(self, proxy: Proxy, store: KeyValue, straight: KeyValue, *, cut: bool) -> None:
        self.proxy = proxy
        self.store = store
        self.straight = straight
        self._cut = cut

    def lose_answer(self) -> None:
        """Of the next write."""
        self.proxy.lose_answer(b'"stream":"KV_test"', cut=self._cut)

    async def entry(self, key: str) -> Entry:
        entry = await self.straight.get(key)
        assert entry is not None
        return entry


async def test_a_store_that_is_not_there_says_so_and_does_nothing_of_it_later(tmp_path: Path) -> None:
    pauses = Pauses()
    async with running_server(tmp_path, pause=pauses) as server, connection_to(server) as connection:
        store: KeyValue = await NatsKeyValue.open(connection, NAMES)
        revision = await store.put("key", b"old")

        async def watch() -> None:
            async with store.watch("key"):
                pass

        await kill(server)
        refusals = await within(
            asyncio.gather(
                store.get("key"),
                store.put("key", b"new"),
                store.put_if_absent("other", b"new"),
                store.compare_and_set("key", b"new", revision=revision),
                store.delete("key"),
                store.scan("k"),
                watch(),
                return_exceptions=True,
            ),
            PATIENCE_SECONDS + 3,
        )
        assert [refusal.code for refusal in refusals if isinstance(refusal, VoxgateError)] == ["unavailable"] * 7
        pauses.release()
        assert await within(store.scan("")) == {"key": Entry(b"old", revision, None)}
