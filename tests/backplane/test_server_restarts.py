"""What the supervisor does when its server dies, and what becomes of the server when its gateway does."""

import asyncio
import logging
import os
import signal
import socket
import sys
import urllib.parse
from pathlib import Path

from tests.backplane.servers import Pauses, client_of, ended, hearing, running_server
from voxgate_backplane.server import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    STEADY_SECONDS,
    EmbeddedServer,
)
from voxgate_core import ManualClock

GATEWAY = """
import asyncio, sys
from pathlib import Path
from voxgate_backplane.server import EmbeddedServer

async def main():
    async with EmbeddedServer(Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def kill(server: EmbeddedServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


async def test_a_killed_server_is_back_on_its_port_with_its_data_and_clients_find_it(tmp_path: Path) -> None:
    reconnected = asyncio.Event()

    async def note() -> None:
        reconnected.set()

    async with (
        running_server(tmp_path) as server,
        client_of(server, reconnected_cb=note, reconnect_time_wait=0.02, max_reconnect_attempts=-1) as client,
    ):
        url, pid = server.url, server.pid
        await client.jetstream().add_stream(name="kept", subjects=["kept.*"])
        for number in range(20):
            await client.jetstream().publish("kept.one", b"%d" % number)
        kill(server)
        await reconnected.wait()
        assert (await client.jetstream().publish("kept.one", b"after")).seq == 21
        assert (await client.jetstream().get_msg("kept", 20)).data == b"19"
        assert server.url == url
        assert server.pid != pid
        assert server.restarts == 1


async def test_it_tells_when_it_is_down_and_when_it_is_back(tmp_path: Path) -> None:
    states: asyncio.Queue[bool] = asyncio.Queue()
    pauses = Pauses()
    with hearing() as heard:
        async with running_server(tmp_path, on_running=states.put_nowait, pause=pauses) as server:
            assert await states.get()
            kill(server)
            assert not await states.get()
            assert (server.running, server.pid) == (False, None)
            pauses.release()
            assert await states.get()
            assert server.running
    assert heard.levels_of("nats-server died and is restarted in 0.05 s: it was killed by SIGKILL") == {logging.ERROR}
    assert heard.levels_of("nats-server is back as process") == {logging.WARNING}


async def test_one_that_ends_by_itself_is_restarted_too(tmp_path: Path) -> None:
    with hearing() as heard:
        async with running_server(tmp_path) as server:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGTERM)
            told = await heard.wait_for("nats-server died")
            assert "Server Exiting" in told
            await heard.wait_for("nats-server is back")


async def test_pauses_double_while_it_does_not_start_and_it_keeps_trying(tmp_path: Path) -> None:
    states: asyncio.Queue[bool] = asyncio.Queue()
    pauses = Pauses()
    with hearing() as heard:
        async with running_server(tmp_path, on_running=states.put_nowait, pause=pauses) as server:
            assert await states.get()
            port = urllib.parse.urlsplit(server.url).port
            kill(server)
            asked = [await pauses.asked.get()]
            with socket.create_server(("127.0.0.1", port or 0)):
                for _ in range(11):
                    pauses.release()
                    asked.append(await pauses.asked.get())
                    assert not server.running
            assert asked == [min(FIRST_PAUSE_SECONDS * 2**n, LONGEST_PAUSE_SECONDS) for n in range(12)]
            assert asked[-2:] == [LONGEST_PAUSE_SECONDS] * 2
            pauses.release()
            assert [await states.get(), await states.get()] == [False, True]
            assert server.restarts == 1
    assert heard.levels_of("nats-server did not start, the next attempt is in 0.1 s: it was not ready yet") == {
        logging.ERROR
    }
    assert "address already in use" in "".join(record.getMessage() for record in heard.records)


async def test_a_folder_it_can_not_write_is_one_more_failed_attempt(tmp_path: Path) -> None:
    states: asyncio.Queue[bool] = asyncio.Queue()
    pauses = Pauses()
    with hearing() as heard:
        async with running_server(tmp_path, on_running=states.put_nowait, pause=pauses) as server:
            assert await states.get()
            kill(server)
            await pauses.asked.get()
            file = tmp_path / "nats" / "server.conf"
            file.unlink()
            file.mkdir()
            pauses.release()
            await pauses.asked.get()
            file.rmdir()
            pauses.release()
            assert [await states.get(), await states.get()] == [False, True]
    assert heard.levels_of("nats-server did not start, the next attempt is in 0.1 s: [Errno 21] Is a directory") == {
        logging.ERROR
    }


async def test_the_pause_is_the_first_again_after_it_ran_well_for_a_while(tmp_path: Path) -> None:
    states: asyncio.Queue[bool] = asyncio.Queue()
    clock, pauses = ManualClock(), Pauses()
    asked = []
    async with running_server(tmp_path, on_running=states.put_nowait, pause=pauses, clock=clock) as server:
        assert await states.get()
        for well in (0.0, STEADY_SECONDS - 1, STEADY_SECONDS):
            clock.advance(well)
            kill(server)
            asked.append(await pauses.asked.get())
            pauses.release()
            assert [await states.get(), await states.get()] == [False, True]
    assert asked == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS]


async def test_it_can_be_stopped_while_it_is_down(tmp_path: Path) -> None:
    pauses = Pauses()
    async with running_server(tmp_path, pause=pauses) as server:
        kill(server)
        await pauses.asked.get()
    assert {file.name for file in (tmp_path / "nats").iterdir()} == {"jetstream", "lock"}


async def test_it_can_be_stopped_while_it_comes_back(tmp_path: Path) -> None:
    with hearing() as heard:
        async with running_server(tmp_path) as server:
            await heard.wait_for("Starting nats-server")
            kill(server)
            await heard.wait_for("Starting nats-server")
    async with running_server(tmp_path) as server:
        assert server.restarts == 0


async def test_a_killed_gateway_takes_its_server_along_and_the_next_one_starts(tmp_path: Path) -> None:
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert gateway.stdout is not None
    pid = int(await gateway.stdout.readline())
    async with ended(pid) as gone:
        gateway.kill()
        async with running_server(tmp_path) as server:
            await gone.wait()
            assert server.running
        await gateway.wait()
