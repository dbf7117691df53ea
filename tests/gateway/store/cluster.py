"""A PostgreSQL of the tests' own: a cluster in a temporary folder, reached by a socket in it, gone afterwards."""

import asyncio
import ctypes
import getpass
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types

__all__ = ["Cluster", "ServerMissing", "running_cluster"]

UNPRIVILEGED = "postgres"
"""Whom the server runs as when the tests run as root, which it refuses."""

_PR_SET_PDEATHSIG = 1


class ServerMissing(Exception):
    """There is no PostgreSQL to be started here, and why."""


class Cluster:
    """A running server. Each :meth:`database` is a new one."""

    def __init__(self, folder: Path, user: str, process: "subprocess.Popen[bytes]") -> None:
        self._folder = folder
        self._user = user
        self._numbers = itertools.count(1)
        self.process = process

    def url(self, name: str) -> str:
        return f"postgresql://{self._user}@/{name}?host={self._folder}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement outside a transaction."""
        asyncio.run(self._execute(statement, database))

    async def _execute(self, statement: str, database: str) -> None:
        connection = await asyncpg.connect(self.url(database), timeout=20)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def database(self, template: str = "template0") -> str:
        """The name of a new database."""
        name = f"t{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def pause(self) -> None:
        """Let the server answer nobody, as one does whose disk hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # Its children lead groups of their own.
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            os.kill(pid, number)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Raises :class:`ServerMissing` where there are no binaries, or no user to run them as."""
    binaries = _binaries()
    user = UNPRIVILEGED if os.geteuid() == 0 else getpass.getuser()
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            raise ServerMissing(f"PostgreSQL does not run as root, and there is no user {user}") from None
        identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    folder = Path(tempfile.mkdtemp(prefix="voxgate-pg-", dir="/tmp"))  # a socket's path must be short
    try:
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        data = folder / "data"
        quiet: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}, **identity}
        made = subprocess.run(
            [binaries / "initdb", "--pgdata", data, "--username", user, "--auth=trust", "--no-sync", "--encoding=UTF8"],
            **quiet,
            capture_output=True,
            timeout=60,
        )
        if made.returncode:
            raise ServerMissing(f"initdb failed: {made.stderr.decode(errors='replace').strip()[-200:]}")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "log_min_messages": "log",
        }
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *(f"-c{name}={value}" for name, value in settings.items())],
            **quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_the_tests if sys.platform == "linux" else None,
        )
        try:
            cluster = Cluster(folder, user, process)
            _wait_until_ready(process)
            yield cluster
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nobody will want the data
            process.wait(timeout=20)
            assert process.stderr is not None
            process.stderr.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    initdb = found[-1] if found else on_path and Path(on_path).resolve()
    if not initdb:
        raise ServerMissing("PostgreSQL is not installed: there is no initdb")
    return Path(initdb).parent


def _die_with_the_tests() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _wait_until_ready(process: "subprocess.Popen[bytes]") -> None:
    """Read the log until the server says so. What it writes later stays in the pipe: errors of clients are not logged."""
    assert process.stderr is not None
    log = []
    for line in process.stderr:
        log.append(line.decode(errors="replace"))
        if b"ready to accept connections" in line:
            return
    raise ServerMissing(f"the server did not start: {''.join(log)[-300:]}")
