"""One process of nats-server: started, listened to, stopped.

On Linux it dies with the thread that started it (``PR_SET_PDEATHSIG``). It leads its own session, so that a terminal's
Ctrl-C does not reach it, and gets next to nothing of our environment, which holds secrets.

It is started with :mod:`subprocess` and not by the event loop, because uvloop leaves every inheritable descriptor open
in a child, the gateway's listening socket among them: its port would go on accepting after the gateway had closed it.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from voxgate_backplane.configuration import read_log_line
from voxgate_backplane.lock import OwnedFolder

__all__ = ["LINE_BYTES", "STOP_SECONDS", "TAIL_CHARACTERS", "TAIL_LINES", "Child"]

STOP_SECONDS: Final = 20.0
"""From SIGTERM to SIGKILL. The server takes 10 ms for each consumer, so this is enough for almost 2,000 of them."""

TAIL_LINES: Final = 20
"""Last lines of a server that are kept to be told when it dies."""

TAIL_CHARACTERS: Final = 500
"""Of one line; the rest is cut off."""

LINE_BYTES: Final = 64 * 1024
"""A longer line of the server is dropped, so that none fills the memory."""

PASSED_ON: Final = ("GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT")
"""The variables a server inherits: Go's own limits."""

_PR_SET_PDEATHSIG = 1

logger = logging.getLogger("voxgate.backplane")


class Child:
    """Runs ``command`` in ``folder``, whose lock it holds too, until it is stopped or ends by itself.

    Whatever it prints is logged, and ``secret`` is taken out of it. Make one on the event loop's thread. Raises
    ``OSError`` when the command can't be run.
    """

    def __init__(self, command: Sequence[str], folder: OwnedFolder, *, secret: str) -> None:
        self._secret = secret
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._process = subprocess.Popen(
            command,
            bufsize=0,
            cwd=folder.path,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(folder.descriptor,),
            start_new_session=True,
            umask=0o077,
            preexec_fn=_before_exec(),
        )
        self.pid = self._process.pid
        self._attending = asyncio.create_task(self._attend())

    @property
    def obituary(self) -> str:
        """How it ended, and its last lines."""
        status = self._process.returncode
        if status is None:
            how = "it runs"
        elif status < 0:
            how = f"it was killed by {signal.Signals(-status).name}"
        else:
            how = f"it ended with status {status}"
        return "\n  ".join([f"{how}; its last lines:", *self._tail]) if self._tail else how

    def forget(self) -> None:
        """Leave out of the obituary what it said until now: it is up, so that was no fault."""
        self._tail.clear()

    async def gone(self, *, within: float | None = None) -> bool:
        """Wait until it has ended and all it wrote was read, at most ``within`` seconds; whether it has."""
        # asyncio.wait, because to be cancelled here must not cancel the task that reads and reaps.
        done, _ = await asyncio.wait([self._attending], timeout=within)
        for task in done:
            task.result()
        return bool(done)

    async def stop(self, *, patience: float = STOP_SECONDS) -> None:
        """Ask it to end, wait ``patience`` seconds, then kill it. Whoever cancels the wait has it killed at once."""
        self._signal(signal.SIGTERM)
        try:
            if not await self.gone(within=patience):
                logger.warning("nats-server did not end in %g s and is killed", patience)
        finally:
            self._signal(signal.SIGKILL)
            await self.gone()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it was reaped since
                os.killpg(self.pid, number)

    async def _attend(self) -> None:
        output = asyncio.StreamReader(limit=LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), self._process.stdout
        )
        with contextlib.closing(transport):
            while True:
                try:
                    line = await output.readline()
                except ValueError:
                    logger.warning("nats-server: a line of more than %d bytes was dropped", LINE_BYTES)
                    continue
                if not line:
                    break
                self._heard(line.decode("utf-8", "replace").rstrip())
        await asyncio.to_thread(self._process.wait)

    def _heard(self, line: str) -> None:
        # A server repeats what clients send it as a user name, and the parts of a configuration that it can't read.
        level, text = read_log_line(line.replace(self._secret, "[redacted]"))
        text = text[:TAIL_CHARACTERS]
        self._tail.append(text)
        logger.log(level, "nats-server: %s", text)


def _before_exec() -> Callable[[], None] | None:
    """What the forked child does before it becomes the server: no imports there, for a fork may not wait for locks."""
    if sys.platform != "linux":
        return None
    gateway = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def before_exec() -> None:
        # A sandbox may refuse it: then a killed gateway leaves a server behind, as it does elsewhere.
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != gateway:  # it died before the line above could take effect
            os._exit(1)

    return before_exec
