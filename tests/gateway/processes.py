"""``voxgate serve`` as a process with a data directory of its own: started, watched, and never left behind."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.rig import PREVIEW

__all__ = [
    "Process",
    "alive",
    "children_of",
    "descendants_of",
    "environment",
    "gone",
    "linux_only",
    "nats_of",
    "ran",
    "started",
]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

PATIENCE = 40.0
"""Seconds after which whoever waits for a process of ours gives up, on a busy machine."""

KEPT = ("PATH", "COVERAGE", "LANG")
"""Beginnings of the variables of this process that a gateway inherits."""


@dataclass
class Process:
    """A running gateway. ``ready`` is its ready line, ``url`` where it answers."""

    popen: asyncio.subprocess.Process
    log: Path
    ready: dict[str, Any] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def ws_url(self) -> str:
        return self.url.replace("http://", "ws://")

    def send(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    async def ended(self) -> tuple[int, bytes]:
        """Wait until it has ended; its status, and what it printed behind the ready line."""
        assert self.popen.stdout is not None
        async with asyncio.timeout(PATIENCE):
            rest = await self.popen.stdout.read()
            return await self.popen.wait(), rest

    def logged(self) -> str:
        return self.log.read_text("utf-8", "replace")


def environment(data_dir: Path, environ: Mapping[str, str] = PREVIEW) -> dict[str, str]:
    """The whole environment of a gateway with these settings."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    return {**kept, **environ, "VOXGATE_DATA_DIR": str(data_dir)}


@asynccontextmanager
async def started(
    data_dir: Path, *arguments: str, environ: Mapping[str, str] = PREVIEW, waits: bool = True
) -> AsyncIterator[Process]:
    """Start a gateway and wait for its ready line, unless told not to. What is left of it at the end is killed.

    Its log lies beside the data directory.
    """
    log = data_dir.with_name(f"{data_dir.name}.log")
    command = (sys.executable, "-m", "voxgate_gateway", "serve", "--port", "0", "--json", *arguments)
    with log.open("ab") as stderr:
        popen = await asyncio.create_subprocess_exec(
            *command,
            env=environment(data_dir, environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=data_dir.parent,
            start_new_session=True,
        )
    process = Process(popen, log)
    left: set[int] = set()
    try:
        if waits:
            assert popen.stdout is not None
            async with asyncio.timeout(PATIENCE):
                line = await popen.stdout.readline()
            assert line, f"it ended with status {await popen.wait()}:\n{process.logged()}"
            process.ready = json.loads(line)
        yield process
        left = descendants_of(process.pid) if popen.returncode is None else set()
    finally:
        if popen.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                popen.send_signal(signal.SIGTERM if waits else signal.SIGKILL)
            try:
                await process.ended()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    popen.kill()
    for pid in left:
        await gone(pid)


async def ran(data_dir: Path, *arguments: str, environ: Mapping[str, str] = PREVIEW) -> tuple[int, str, str]:
    """Run ``voxgate`` with these arguments to its end: status, standard output, standard error."""
    popen = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxgate_gateway", *arguments),
        env=environment(data_dir, environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=data_dir.parent,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await popen.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            popen.kill()
    assert popen.returncode is not None
    return popen.returncode, out.decode(), err.decode()


def children_of(pid: int) -> dict[int, str]:
    """The names of the processes that a process has started, by their ids."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(FileNotFoundError):
                found[int(child)] = Path(f"/proc/{child}/comm").read_text().strip()
    return found


def descendants_of(pid: int) -> set[int]:
    """The ids of what a process has started, and of what that has."""
    children = set(children_of(pid))
    return children.union(*(descendants_of(child) for child in children))


def nats_of(pid: int) -> int:
    """The id of the nats-server that a gateway runs."""
    (found,) = [child for child, name in children_of(pid).items() if name == "nats-server"]
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that is only waiting to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int) -> None:
    """Wait until a process, a child of anyone, has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        async with asyncio.timeout(PATIENCE):
            await event.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
