import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import nats.errors
import pytest
from nats.aio.msg import Msg
from nats.js.errors import APIError

from tests.backplane.rig import Proxy, connection_to, kill, within
from tests.backplane.servers import Pauses, hearing, running_server
from voxgate_backplane.client import CONNECT_SECONDS, Connection, Credentials, connected
from voxgate_core import ConfigurationError

STREAM = {"name": "s", "subjects": ["s.*"], "storage": "file", "allow_direct": True, "duplicate_window": 10**11}


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        yield connection


async def test_a_wrong_password_is_a_fault_of_the_configuration_at_once(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        started = asyncio.get_running_loop().time()
        with pytest.raises(ConfigurationError, match="refuses the login") as refused:
            async with connected(server.url, Credentials(user=server.user, password="wr0ng")):
                pass
        assert asyncio.get_running_loop().time() - started < CONNECT_SECONDS / 2
        assert "wr0ng" not in str(refused.value)
        with pytest.raises(ConfigurationError, match="refuses the login") as refused:
            async with connected(server.url.replace("//", "//voxgate:wr0ng@"), Credentials()):
                pass
        assert "wr0ng" not in str(refused.value)
        assert refused.value.__suppress_context__


async def test_a_password_may_stand_in_the_url(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        url = server.url.replace("//", f"//{server.user}:{server.password}@")
        async with connected(url, Credentials()) as connection:
            assert connection.is_up


async def test_a_server_that_is_not_there_is_a_fault_of_the_configuration() -> None:
    listener = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    with pytest.raises(ConfigurationError, match="no NATS server answers as it should") as refused:
        async with connected(f"nats://u:s3cret@127.0.0.1:{port}", Credentials(), patience=0.5):
            pass
    assert "s3cret" not in str(refused.value)


async def test_something_that_is_no_nats_server_is_a_fault_of_the_configuration() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    listener = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    with pytest.raises(ConfigurationError, match="no NATS server answers as it should"):
        async with connected(f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}", Credentials(), patience=0.5):
            pass
    for writer in connections:
        writer.close()
    listener.close()
    await listener.wait_closed()


async def test_faults_of_urls_and_files_are_found_before_connecting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="VOXGATE_NATS_URL"):
        async with connected(",", Credentials()):
            pass
    with pytest.raises(ConfigurationError, match=r"none\.creds"):
        async with connected("nats://127.0.0.1:1", Credentials(creds_file=tmp_path / "none.creds")):
            pass


async def test_closing_an_ordinary_connection_is_no_loss(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        with hearing() as log:
            async with connection_to(server) as connection:
                await connection.api("INFO")
            assert not connection.is_up
        assert log.levels_of("lost") == set()
        with pytest.raises(nats.errors.ConnectionClosedError):
            await within(connection.api("INFO"), 1)


async def test_a_connection_may_end_while_its_server_is_gone_and_words_are_waiting(tmp_path: Path) -> None:
    pauses = Pauses()
    async with running_server(tmp_path, pause=pauses) as server:
        async with connection_to(server) as connection:
            asking = asyncio.create_task(connection.api("INFO"))
            await kill(server)
            connection.client.send("nobody", b"waiting")
            waiting = asyncio.create_task(connection.api("INFO"))
            await within(pauses.asked.get())
        for task in (asking, waiting):
            try:
                await within(task, 2)
            except nats.errors.ConnectionClosedError:
                pass  # or it was answered before the end
        pauses.release()


async def test_what_is_published_over_a_kill_is_stored_and_once(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, connection_to(server) as connection:
        await connection.api("STREAM.CREATE.s", STREAM)
        stored: list[int] = []

        async def publish(number: int) -> None:
            stored.append(await connection.publish("s.x", b"%d" % number, {"Nats-Msg-Id": str(number)}))
            if len(stored) == 100:
                await kill(server)

        async def publish_some(first: int) -> None:
            for number in range(first, first + 30):
                await publish(number)

        await within(asyncio.gather(*(publish_some(first) for first in range(0, 600, 30))))
        assert server.restarts == 1
        info = await connection.api("STREAM.INFO.s")
        assert info["state"]["messages"] == len(set(stored)) == 600


async def test_a_question_out_when_the_server_dies_is_asked_again_at_once(tmp_path: Path) -> None:
    pauses = Pauses()
    async with running_server(tmp_path, pause=pauses) as server, connection_to(server) as connection:
        loop = asyncio.get_running_loop()
        await kill(server)
        asking = asyncio.create_task(connection.api("INFO"))
        await within(pauses.asked.get())
        pauses.release()
        started = loop.time()
        assert (await within(asking))["streams"] == 0
        assert loop.time() - started < 1.5, "it waited for an answer that could not come"


async def test_an_answer_that_was_lost_is_asked_for_again(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, Proxy.before(server) as proxy:
        async with connection_to(server, through=proxy) as connection:
            proxy.lose_answer(b"account_info_response", cut=False)
            assert (await within(connection.api("INFO")))["streams"] == 0
            assert proxy.lost.is_set()


async def test_callbacks_run_after_each_reconnect_until_they_are_taken_back(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, Proxy.before(server) as proxy:
        async with connection_to(server, through=proxy) as connection:
            back: asyncio.Queue[str] = asyncio.Queue()
            callback = lambda: back.put_nowait("same")  # noqa: E731 - the same object twice
            connection.on_reconnect(lambda: back.put_nowait("first"))
            take_back = connection.on_reconnect(callback)
            connection.on_reconnect(callback)
            proxy.cut()
            assert [await within(back.get()) for _ in range(3)] == ["first", "same", "same"]
            assert connection.is_up
            take_back()
            take_back()
            proxy.cut()
            assert [await within(back.get()) for _ in range(2)] == ["first", "same"]
            assert back.empty()


async def test_a_refusal_is_raised_at_once(connection: Connection) -> None:
    with pytest.raises(APIError) as refused:
        await within(connection.api("STREAM.INFO.none"), 1)
    assert (refused.value.code, refused.value.err_code) == (404, 10059)
    with pytest.raises(APIError) as refused:
        await within(connection.publish("$JS.API.STREAM.INFO.none", b"", {}), 1)
    assert refused.value.code == 404


async def test_a_question_nobody_answers_fails_when_the_patience_is_over(connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    with pytest.raises(nats.errors.NoRespondersError):
        await connection.ask("nobody", patience=0.5)
    with pytest.raises(nats.errors.TimeoutError):
        await connection.api("NONSENSE", patience=0.5)
    assert 0.3 < loop.time() - started < 2


async def test_a_passing_fault_is_waited_out_and_told_when_it_does_not_pass(connection: Connection) -> None:
    answers = iter(
        [
            b'{"error":{"code":503,"err_code":10008,"description":"temporarily unavailable"}}',
            b'{"error":{"code":409,"err_code":10158,"description":"in process"}}',
            b'{"error":{"code":400,"err_code":10005,"description":"no peers"}}',
            b'{"seq":7}',
        ]
    )
    busy = b'{"error":{"code":503,"err_code":10008,"description":"still unavailable"}}'

    def answer(message: Msg) -> None:
        connection.client.send(message.reply, next(answers, busy))

    await connection.listen("moody", answer)
    assert await within(connection.publish("moody", b"", {})) == 7
    with pytest.raises(APIError, match="still unavailable"):
        await connection.publish("moody", b"", {}, patience=0.4)


async def test_a_message_too_large_for_a_server_is_not_sent(connection: Connection) -> None:
    room = connection.client.max_payload - 12 - len("Name: ") - len("ä".encode()) - 2
    await connection.api("STREAM.CREATE.s", STREAM)
    with pytest.raises(nats.errors.MaxPayloadError):
        await connection.publish("s.x", bytes(room + 1), {"Name": "ä"})
    assert await within(connection.publish("s.x", bytes(room), {"Name": "ä"})) == 1
    assert connection.client.stats["reconnects"] == 0


async def test_an_answer_nobody_waits_for_is_let_pass(connection: Connection) -> None:
    connection.client.send(f"{connection._inbox}999", b"late")
    assert (await connection.api("INFO"))["streams"] == 0


async def test_many_answers_are_gathered_until_the_last(connection: Connection) -> None:
    await connection.api("STREAM.CREATE.s", STREAM)
    for number in range(5):
        await connection.publish(f"s.{number}", b"%d" % number, {})
    answers = await connection.ask_for_many("$JS.API.DIRECT.GET.s", b'{"seq":1,"next_by_subj":"s.>","batch":3}')
    assert [answer.data for answer in answers] == [b"0", b"1", b"2", b""]
    with pytest.raises(nats.errors.NoRespondersError):
        await connection.ask_for_many("nobody", b"", patience=0.1)


async def test_all_that_was_on_its_way_is_heard_before_a_subscription_is_let_go(connection: Connection) -> None:
    heard: list[bytes] = []
    subscription = await connection.listen("a", lambda message: heard.append(message.data))
    other = await connection.listen("a", lambda message: heard.append(message.data))
    for number in range(100):
        connection.client.send("a", b"%d" % number)
    await connection.let_go(subscription, other)
    connection.client.send("a", b"late")
    await connection.api("INFO")
    assert sorted(heard) == sorted([b"%d" % number for number in range(100)] * 2)
    assert len(connection.client._listeners) == 1
