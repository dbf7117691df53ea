import asyncio
import hashlib
import os
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from voxgate_gates import Credentials, StartFailed, running_server, running_target
from voxgate_gates.harness import ORIGIN, OTHER_ORIGIN, StopFailed, assert_refuses

SMALL = Path(__file__).with_name("small_server.py")
CYCLES = 100
PATIENCE = 10.0


def small(mode: str) -> tuple[str, ...]:
    # Without site, so that a hundred starts measure the harness and not the import of this environment.
    return (sys.executable, "-I", "-S", str(SMALL), mode)


def left_behind() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("voxgate-gates-*")}


async def said_by(url: str) -> bytes:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def wait_until_gone(pid: int) -> bool:
    """Whether a process that is not our child ends in time: a pidfd becomes readable when it does."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([descriptor], [], [], PATIENCE)
        return bool(ready)
    finally:
        os.close(descriptor)


async def test_a_hundred_cycles_leave_no_port_no_process_and_no_file() -> None:
    before = left_behind()
    for _ in range(CYCLES):
        async with running_server({}, command=small("good")) as url:
            assert await said_by(url) == b"-"
        port = urlsplit(url).port
        assert port is not None
        assert refuses(port)
    assert left_behind() <= before
    assert _children() == set()


async def test_the_server_gets_its_settings_and_none_of_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://inherited.test")
    async with running_server({}, command=small("good")) as url:
        assert await said_by(url) == b"-"
    async with running_target(command=small("good")) as target:
        assert await said_by(target.url) == f"{ORIGIN},{OTHER_ORIGIN}".encode()
        assert target.origin == ORIGIN
        assert target.environment == "preview"


async def test_no_file_of_the_working_directory_adds_targets_of_its_own() -> None:
    tells = "import os, sys; sys.exit(os.environ['VOXGATE_FANOUT_FILE'])"
    with pytest.raises(StartFailed) as caught:
        async with running_server({}, command=(sys.executable, "-I", "-S", "-c", tells)):
            pytest.fail("it was never ready")
    assert caught.value.tail == os.devnull


async def test_a_request_before_the_first_accept_waits_in_the_backlog() -> None:
    async with running_server({}, command=small("good")) as url:
        answers = await asyncio.gather(*(said_by(url) for _ in range(20)))
    assert answers == [b"-"] * 20


async def test_a_server_that_ignores_sigterm_is_killed() -> None:
    async with running_server({}, command=small("stubborn")) as url:
        port = urlsplit(url).port
        assert port is not None
    assert refuses(port)


async def test_a_grandchild_in_a_session_of_its_own_goes_too(tmp_path: Path) -> None:
    stray = tmp_path / "pid"
    async with running_server({"STRAY_FILE": str(stray)}, command=small("brood")):
        pid = int(stray.read_text())
        os.kill(pid, 0)
    assert wait_until_gone(pid)


async def test_a_server_that_never_becomes_ready_is_given_up_on() -> None:
    before = left_behind()
    with pytest.raises(StartFailed, match=r"no ready line within 0\.5 s"):
        async with running_server({}, command=small("mute"), ready_seconds=0.5):
            pytest.fail("it was never ready")
    assert left_behind() <= before


async def test_a_server_that_dies_at_start_has_its_last_words_shown_without_secrets() -> None:
    with pytest.raises(StartFailed, match="with status 3") as caught:
        async with running_target(command=small("dies")):
            pytest.fail("it was never ready")
    assert caught.value.tail.endswith("no luck today")
    assert "JWT_SECRET=gate:$SECRET" in caught.value.tail


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("garbage", "'Starting up, please wait' where its ready line was expected"),
        ("endless", "longer than"),
        ("elsewhere", "where its ready line was expected"),
    ],
)
async def test_a_first_line_that_is_no_ready_line_is_refused(mode: str, message: str) -> None:
    with pytest.raises(StartFailed, match=message):
        async with running_server({}, command=small(mode)):
            pytest.fail("it was never ready")


@pytest.mark.parametrize("line", ['{"event": "ready"}', '{"event": "up", "url": "http://127.0.0.1:1", "pid": 1}', "[]"])
async def test_a_ready_line_lacks_nothing(line: str) -> None:
    script = f"import signal; print({line!r}, flush=True); signal.pause()"
    with pytest.raises(StartFailed, match="ready line was expected"):
        async with running_server({}, command=(sys.executable, "-I", "-S", "-c", script)):
            pytest.fail("it was never ready")


async def test_a_command_that_is_not_there_is_a_failed_start() -> None:
    before = left_behind()
    with pytest.raises(StartFailed, match="with status 1") as caught:
        async with running_server({}, command=("/no/such/command",)):
            pytest.fail("it was never ready")
    assert "No such file" in caught.value.tail
    assert left_behind() <= before


async def test_a_server_that_ends_while_judged_leaves_nothing() -> None:
    before = left_behind()
    async with running_server({}, command=small("mortal")) as url:
        assert url.startswith("http://127.0.0.1:")
    assert left_behind() <= before


async def test_an_error_in_the_body_still_stops_the_server() -> None:
    with pytest.raises(KeyError):
        async with running_server({}, command=small("good")) as url:
            raise KeyError(url)
    assert _children() == set()


async def test_a_cancelled_run_still_stops_the_server() -> None:
    ready = asyncio.Event()
    urls: list[str] = []

    async def run() -> None:
        async with running_server({}, command=small("good")) as url:
            urls.append(url)
            ready.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    port = urlsplit(urls[0]).port
    assert port is not None
    assert refuses(port)


@pytest.mark.parametrize("victim", ["runner", "keeper"])
async def test_killing_leaves_no_process_and_no_port(victim: str, tmp_path: Path) -> None:
    """The runner is a process of its own here; it prints the URL, and is killed or sees its keeper killed."""
    stray = tmp_path / "pid"
    before = left_behind()
    runner = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _RUNNER.format(command=small("brood"), settings={"STRAY_FILE": str(stray)}),
        stdout=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.PIPE,
    )
    assert runner.stdout is not None
    assert runner.stdin is not None
    url = (await runner.stdout.readline()).decode().strip()
    port = urlsplit(url).port
    assert port is not None
    (keeper,) = _children(runner.pid)
    (server,) = _children(keeper)
    strays = {server, int(stray.read_text())}
    os.kill(runner.pid if victim == "runner" else keeper, signal.SIGKILL)
    if victim == "keeper":
        assert wait_until_gone(server)
        os.kill(int(stray.read_text()), signal.SIGKILL)  # no subreaper is left to find it
        runner.stdin.close()
    await runner.wait()
    for pid in (keeper, *strays):
        assert wait_until_gone(pid)
    assert refuses(port)
    assert left_behind() <= before


async def test_a_keeper_told_to_stop_by_sigterm_stops_the_server() -> None:
    async with running_server({}, command=small("good")) as url:
        (keeper,) = _children()
        os.kill(keeper, signal.SIGTERM)
        assert wait_until_gone(keeper)
        port = urlsplit(url).port
        assert port is not None
        assert refuses(port)


def test_a_port_that_still_answers_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(StopFailed, match="still answers"):
        assert_refuses(listener.getsockname()[1])


def test_credentials_are_fresh_and_only_hashes_are_handed_over() -> None:
    made, other = Credentials(), Credentials()
    settings: Mapping[str, str] = made.environment("dev")
    assert made.operator_key != other.operator_key
    assert hashlib.sha256(made.operator_key.encode()).hexdigest() in settings["VOXGATE_API_KEYS"]
    assert made.operator_key not in str(settings)
    assert len(settings["JWT_SECRET"].partition(":")[2]) == 48
    assert settings["VOXGATE_ENV"] == "dev"
    for secret in (made.operator_key, made.issuer_key, made.signing_secret):
        assert secret not in repr(made)


def _children(pid: int | None = None) -> set[int]:
    owner = pid or os.getpid()
    found: set[int] = set()
    for task in Path(f"/proc/{owner}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return found


_RUNNER = """
import asyncio, sys
from voxgate_gates import running_server

async def main():
    async with running_server({settings!r}, command={command!r}) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
