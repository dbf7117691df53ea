import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.backplane.rig import kill, within
from tests.backplane.servers import Pauses, hearing, running_server
from voxgate_backplane.server import EmbeddedServer
from voxgate_backplane.wire import Wire


@asynccontextmanager
async def wire_to(server: EmbeddedServer, **options: Any) -> AsyncIterator[Wire]:
    wire = Wire(needs_tls=False)
    await wire.connect(
        [server.url],
        user=server.user,
        password=server.password,
        reconnect_time_wait=0,
        max_reconnect_attempts=-1,
        skip_subject_validation=True,
        **options,
    )
    try:
        yield wire
    finally:
        await wire.close()


class Ears:
    def __init__(self) -> None:
        self.heard: asyncio.Queue[Msg] = asyncio.Queue()

    def __call__(self, message: Msg) -> None:
        self.heard.put_nowait(message)

    async def bodies(self, count: int) -> list[bytes]:
        return [(await within(self.heard.get())).data for _ in range(count)]


def test_nats_py_still_has_what_is_overridden() -> None:
    def parameters(name: str) -> list[str]:
        return list(inspect.signature(getattr(Client, name)).parameters)

    assert parameters("_process_msg") == ["self", "sid", "subject", "reply", "data", "headers"]
    assert parameters("_process_err") == ["self", "err_msg"]
    assert parameters("_process_info") == ["self", "info", "initial_connection"]
    assert parameters("_process_op_err") == ["self", "e"]
    assert parameters("_process_headers") == ["self", "headers"]
    assert parameters("_connect_to_server") == ["self", "s"]
    assert parameters("_send_unsubscribe") == ["self", "sid", "limit"]
    assert parameters("_remove_sub") == ["self", "sid", "max_msgs"]


async def test_what_is_listened_for_is_heard_in_order_and_whole(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, wire_to(server) as wire:
        ears = Ears()
        await wire.listen("a.*", ears)
        await wire.publish("a.1", b"body", "back", {"Name": "value", "Other": "ä"})
        message = await within(ears.heard.get())
        assert (message.subject, message.reply, message.data) == ("a.1", "back", b"body")
        assert message.headers == {"Name": "value", "Other": "ä"}
        for number in range(500):
            wire.send("a.2", b"%d" % number)
        assert await ears.bodies(500) == [b"%d" % number for number in range(500)]


async def test_an_error_in_hearing_is_logged_and_the_next_message_heard(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, wire_to(server) as wire:
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        def hear(message: Msg) -> None:
            if message.data == b"bad":
                raise LookupError
            heard.put_nowait(message.data)

        await wire.listen("a", hear)
        with hearing() as log:
            wire.send("a", b"bad")
            wire.send("a", b"good")
            assert await within(heard.get()) == b"good"
            await within(log.wait_for("could not be worked on"))


async def test_ordinary_subscriptions_work_beside_it(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, wire_to(server) as wire:
        subscription = await wire.subscribe("a")
        wire.send("a", b"1")
        assert (await subscription.next_msg(timeout=10)).data == b"1"


async def test_what_is_declined_is_heard_until_the_server_knows(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, wire_to(server) as wire:
        ears, mark = Ears(), Ears()
        subscription = await wire.listen("a", ears)
        await wire.listen("mark", mark)
        wire.send("a", b"before")
        await wire.decline(subscription)
        wire.send("a", b"after")
        wire.send("mark", b"")
        await mark.bodies(1)
        assert await ears.bodies(1) == [b"before"]
        assert ears.heard.empty()
        wire.forget(subscription._id)
        assert not wire._listeners.keys() & {subscription._id}
        assert subscription._id not in wire._subs


async def test_it_listens_again_and_sends_what_waited_after_the_server_was_killed(tmp_path: Path) -> None:
    pauses, lost = Pauses(), asyncio.Event()

    async def disconnected() -> None:
        lost.set()

    async with (
        running_server(tmp_path, pause=pauses) as server,
        wire_to(server, disconnected_cb=disconnected) as wire,
    ):
        kept, forgotten = Ears(), Ears()
        await wire.listen("a", kept)
        subscription = await wire.listen("a", forgotten)
        await kill(server)
        await within(lost.wait())
        wire.forget(subscription._id)
        wire.send("a", b"waited")
        wire.send("a", b"dropped")
        wire.drop_unsent(b"dropped")
        pauses.release()
        assert await kept.bodies(1) == [b"waited"]
        wire.send("a", b"later")
        assert await kept.bodies(1) == [b"later"]
        assert forgotten.heard.empty()


async def test_only_so_much_waits_for_a_server(tmp_path: Path) -> None:
    lost = asyncio.Event()

    async def disconnected() -> None:
        lost.set()

    async with (
        running_server(tmp_path, pause=Pauses()) as server,
        wire_to(server, disconnected_cb=disconnected, pending_size=10_000) as wire,
    ):
        await kill(server)
        await within(lost.wait())
        wire.send("a", bytes(5_000))
        with pytest.raises(nats.errors.OutboundBufferLimitError):
            wire.send("a", bytes(5_001))
        wire.drop_unsent(b"")
        wire.send("a", bytes(5_001))
        wire.drop_unsent(b"")


async def test_nothing_is_sent_or_listened_for_once_it_is_closed(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, wire_to(server) as wire:
        await wire.close()
        with pytest.raises(nats.errors.ConnectionClosedError):
            wire.send("a", b"")
        with pytest.raises(nats.errors.ConnectionClosedError):
            await wire.listen("a", Ears())
        assert not wire._listeners


async def test_it_comes_back_after_a_server_ended_the_connection_over_a_complaint(tmp_path: Path) -> None:
    back = asyncio.Event()

    async def reconnected() -> None:
        back.set()

    async with running_server(tmp_path) as server, wire_to(server, reconnected_cb=reconnected) as wire:
        ears = Ears()
        await wire.listen("a", ears)
        with hearing() as log:
            wire.send("a", bytes(wire.max_payload + 1))
            await within(log.wait_for("ends the connection: 'maximum payload violation'"))
            await within(back.wait())
        wire.send("a", b"again")
        assert await ears.bodies(1) == [b"again"]


async def test_it_stays_when_it_was_refused_one_subject(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, wire_to(server) as wire:
        ears = Ears()
        await wire.listen("a", ears)
        with hearing() as log:
            wire.send("a", b"", "$JS.ACK.not.ours")
            await within(log.wait_for("refuses what we may not do"))
        wire.send("a", b"again")
        assert await ears.bodies(1) == [b"again"]
        assert wire.stats["reconnects"] == 0


async def test_no_login_is_sent_to_a_server_without_tls_when_it_is_wanted() -> None:
    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.15.1","auth_required":true,"max_payload":1024}\r\n')
        said.put_nowait(await reader.read(4_096))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = Wire(needs_tls=True)
    with pytest.raises(nats.errors.SecureConnWantedError):
        await wire.connect(
            [f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}"],
            user="u",
            password="s3cret",
            allow_reconnect=False,
            error_cb=ignore,
        )
    await wire.close()
    assert await within(said.get()) == b""
    server.close()
    await server.wait_closed()


async def ignore(_: Exception) -> None:
    pass
