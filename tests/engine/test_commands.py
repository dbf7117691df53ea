import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from typing import Any

import pytest
from click.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.engine.wire import receive
from voxgate_engine.commands import engine

PROGRAM = (sys.executable, "-c", "from voxgate_engine.commands import engine; engine()", "serve")


@contextlib.asynccontextmanager
async def served(*options: str, **extra: Any) -> AsyncIterator[tuple[Process, dict[str, Any]]]:
    """The command in a process of its own, once it has said that it is ready."""
    process = await asyncio.create_subprocess_exec(*PROGRAM, *options, stdout=PIPE, stderr=PIPE, **extra)
    assert process.stdout is not None
    try:
        yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_the_group_is_found_by_the_voxgate_command() -> None:
    (entry,) = entry_points(group="voxgate.commands", name="engine")
    assert entry.load() is engine


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_listens_and_leaves_politely(number: signal.Signals) -> None:
    async with served("--json") as (process, ready):
        assert ready == {"event": "ready", "url": ready["url"], "pid": process.pid}
        client = await connect(ready["url"])
        assert (await receive(client))["type"] == "session.created"
        process.send_signal(number)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        out, err = await process.communicate()
        assert process.returncode == 0
        assert out == b""
        assert b"Traceback" not in err
        assert b"session" not in err


async def test_an_inherited_socket_is_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        async with served("--fd", str(number), pass_fds=(number,)) as (_, ready):
            assert ready["url"] == f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime"
            async with connect(ready["url"]) as client:
                assert (await receive(client))["type"] == "session.created"


async def test_a_key_from_the_environment_is_asked_for_and_never_printed() -> None:
    env = {**os.environ, "VOXGATE_ENGINE_API_KEY": "sk-hush"}
    async with served("--pace", "8", "--max-sessions", "2", env=env) as (process, ready):
        with pytest.raises(InvalidStatus, match="401"):
            await connect(ready["url"])
        async with connect(ready["url"], additional_headers={"api-key": "sk-hush"}) as client:
            await receive(client)
        process.terminate()
        out, err = await process.communicate()
        assert b"session opened" in err
        assert b"sk-hush" not in out + err


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = CliRunner().invoke(engine, ["serve", "--json", "--port", str(listener.getsockname()[1])])
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "in use" in result.output


def test_a_wrong_setting_is_one_sentence() -> None:
    result = CliRunner().invoke(engine, ["serve", "--json", "--pace", "0", "--max-sessions", "0"])
    assert result.exit_code == 1
    assert "pace" in result.output
    assert "max_sessions" in result.output


def test_in_process_the_command_serves_until_it_is_told_to_stop() -> None:
    async def stop_when_ready(listener: socket.socket) -> None:
        async with connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime") as client:
            await receive(client)
            os.kill(os.getpid(), signal.SIGTERM)

    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.dup()
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            asyncio.run(stop_when_ready(address))
        except BaseException as error:
            failures.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=watch)
    thread.start()
    result = CliRunner().invoke(engine, ["serve", "--json", "--fd", str(listener.detach())])
    thread.join()
    address.close()
    assert failures == []
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["pid"] == os.getpid()
