"""The Build gate's health step: the gateway starts, is refused a port that is taken, and leaves nothing behind.

These checks start gateways of their own, each with a folder made for it, and stop whatever is left of them. That a step
survives a server which starts late, never, or dies half-way is a property of the harness, and proven by its tests.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from voxgate_gates.check import Need, Suite
from voxgate_gates.checks import build_fanout
from voxgate_gates.condition import ABSENT
from voxgate_gates.coverage import coverage_facts
from voxgate_gates.harness import SETTINGS
from voxgate_gates.probe import Probe, Unjudged
from voxgate_gates.processes import Seen, descendants, still_there
from voxgate_gates.waiting import ask_until

__all__ = ["suite"]

suite = Suite(build_fanout.suite.gate)

START_SECONDS: Final = 30.0
"""From start to the ready line, or to the end of a start that is refused."""

STOP_SECONDS: Final = 20.0
"""From SIGTERM to the end: sessions have ten seconds, and the backplane is stopped after them."""

CHECK_SECONDS: Final = START_SECONDS + STOP_SECONDS + 10.0

LINE_BYTES: Final = 64 * 1024
SHOWN: Final = 300


@suite.check(
    "port-taken",
    promise="A gateway that can't have its port says which, and ends with an error.",
    condition='[STATUS] != 0 && [SAID] contains "port" && [SAID] contains [PORT]',
    advice="Bind before anything is started, and name the port and --port in the message.",
    safe_on_production=False,
    needs=[Need.COMMAND],
    seconds=CHECK_SECONDS,
    slow=True,
)
async def port_taken(probe: Probe) -> Mapping[str, object]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with _serving(probe.target.command, "--port", str(port)) as process:
            assert process.stdout is not None
            try:
                async with asyncio.timeout(START_SECONDS):
                    ready = await process.stdout.readline()  # nothing, once it has ended
                    _, complaint = (b"", b"") if ready else await process.communicate()
            except TimeoutError:
                ready, complaint = b"nothing", b""
            if ready:
                return {"STATUS": 0, "SAID": "it runs", "PORT": str(port)}
    return {
        "STATUS": process.returncode,
        "SAID": complaint.decode("utf-8", "replace")[-SHOWN:],
        "PORT": str(port),
    }


@suite.check(
    "leaves-nothing",
    promise="A gateway that is told to stop ends in time, and leaves no process and no port behind.",
    condition="[ENDED] == true && [PORT_REFUSES] == true && [PROCESSES_LEFT] == 0",
    advice="Look for a child that is not waited for, or a connection that is not closed, in the last lines of the log.",
    safe_on_production=False,
    needs=[Need.COMMAND],
    seconds=CHECK_SECONDS,
    slow=True,
)
async def leaves_nothing(probe: Probe) -> Mapping[str, object]:
    async with _serving(probe.target.command, "--port", "0") as process:
        port = await _ready_port(process)
        started = await asyncio.to_thread(descendants, process.pid)  # what leaves the group is not lost from sight
        process.send_signal(signal.SIGTERM)
        # wait() would wait for its pipes too, which what it left behind may hold.
        if await ask_until(lambda: _ended(process), lambda code: code is not None, seconds=STOP_SECONDS) is None:
            return {"ENDED": False, "PORT_REFUSES": ABSENT, "PROCESSES_LEFT": ABSENT}
        with socket.socket() as caller:
            caller.settimeout(1.0)
            refuses = caller.connect_ex(("127.0.0.1", port)) != 0
        left = await asyncio.to_thread(still_there, started)
        _kill(left)
        count = len(left) or int(_is_alive(process.pid))
        return {"ENDED": True, "PORT_REFUSES": refuses, "PROCESSES_LEFT": count}


@suite.check(
    "coverage-floor",
    promise="The tests cover at least as much of these very sources as the project asks for.",
    condition="[COVERED] >= [FLOOR]",
    advice="Test what `coverage report` lists as missing; the floor is in pyproject.toml, and only rises.",
    needs=[Need.PROJECT, Need.COVERAGE],
)
async def coverage_floor(probe: Probe) -> Mapping[str, object]:
    project = probe.target.project
    assert project is not None  # Need.PROJECT
    try:
        facts = await asyncio.to_thread(coverage_facts, project)
    except (OSError, ValueError, KeyError) as error:
        raise Unjudged(f"the coverage of the last run can't be read: {error}") from error
    probe.figure("covered by tests", f"{facts['COVERED']} %")
    return facts


async def _ended(process: asyncio.subprocess.Process) -> int | None:
    return process.returncode


async def _ready_port(process: asyncio.subprocess.Process) -> int:
    """The port of the ready line. Raises :class:`Unjudged` when there is none in time."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
        return int(json.loads(line)["url"].rpartition(":")[2])
    except (TimeoutError, ValueError, KeyError) as error:
        raise Unjudged("the gateway printed no ready line") from error


@asynccontextmanager
async def _serving(command: tuple[str, ...], *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``voxgate serve`` in a session of its own; whatever is left of that, or descends from it, is killed in the end."""
    with tempfile.TemporaryDirectory(prefix="voxgate-gates-") as folder:
        process = await asyncio.create_subprocess_exec(
            *command,
            *("serve", "--host", "127.0.0.1"),
            *words,
            env=_settings(folder),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=LINE_BYTES,
        )
        try:
            yield process
        finally:
            _kill(await asyncio.to_thread(descendants, process.pid))  # before they lose their parent, and are not found
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()


def _settings(folder: str) -> dict[str, str]:
    """None of the settings around, and a data folder that no symbolic link leads to."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    own = {"VOXGATE_ENV": "dev", "VOXGATE_DATA_DIR": str(Path(folder).resolve()), "VOXGATE_FANOUT_FILE": os.devnull}
    return {**inherited, **own}


def _kill(seen: Seen) -> None:
    for pid, _ in seen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _is_alive(group: int) -> bool:
    """Whether a process of that group is left, the leader having been waited for."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
