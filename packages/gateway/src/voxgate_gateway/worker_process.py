"""One worker process: started on an inherited socket, listened to, and seen to its end.

Its rules:

1. It inherits the listening socket as ``--fd N``, and one environment variable more than it was given:
   ``VOXGATE_WORKER``, which says which worker it is.
2. It says ``{"event":"ready",…}`` on standard output once it answers. That line is swallowed, since the parent prints
   its own; every other line goes to the log.
3. It leads its own session, so that the terminal's Ctrl-C reaches the parent alone. What it had started is killed when
   it ends.
4. It does not outlive the parent, not even the parent's SIGKILL (``PR_SET_PDEATHSIG``).

Rule 4 and the second half of rule 3 are Linux's; elsewhere a parent that is killed leaves its workers to the operator.
There a thread waits for each worker; on Linux the event loop waits for all of them, and no fork can catch a thread
holding a lock. Windows can't hand a socket down this way.
"""

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

__all__ = ["Lines", "WorkerProcess"]

LINE_BYTES: Final = 4096
"""The longest line a worker may write to standard output; a longer one is dropped, and the log says so."""

READ_BYTES: Final = 64 * 1024
"""Read from a worker at once: all that its pipe holds, so nothing it said before its end is lost."""

_PR_SET_PDEATHSIG = 1

logger = logging.getLogger("voxgate.gateway")


class WorkerProcess:
    """A process of ``command``, watched from the running event loop. ``slot`` says which worker it is: ``1/4``.

    ``changed`` is set when it became ready or ended, ``ended`` when it has been reaped; ``status`` is then its exit
    status, or the negative number of the signal that ended it. It is killed when the thread that started it ends, so
    start it on the main thread. Raises ``OSError`` or ``subprocess.SubprocessError`` when it can't be started.
    """

    def __init__(self, command: Sequence[str], slot: str, *, environ: Mapping[str, str], listener: int) -> None:
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()
        self.is_ready = False
        self.status = 0
        self._slot = slot
        self._lines = Lines()
        self._loop = asyncio.get_running_loop()
        self._popen = subprocess.Popen(
            [*command, "--fd", str(listener)],
            env={**environ, "VOXGATE_WORKER": slot},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            bufsize=0,
            pass_fds=(listener,),
            start_new_session=True,
            preexec_fn=_bond(),
        )
        self.pid = self._popen.pid
        assert self._popen.stdout is not None
        self._stdout = self._popen.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._loop.add_reader(self._stdout.fileno(), self._read)
        self._watch()

    @property
    def named(self) -> dict[str, object]:
        """What every line of the log says about it."""
        return {"worker": self._slot, "pid": self.pid}

    def ask_to_stop(self) -> None:
        """SIGTERM, to the worker alone: what it has started is for it to stop."""
        self._popen.terminate()

    def kill(self) -> None:
        """SIGKILL, to the worker and what it has started."""
        if not self.ended.is_set():
            self._kill_group()

    def _watch(self) -> None:
        try:
            pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, an old kernel, or a sandbox that forbids it
            threading.Thread(target=self._wait_in_thread, daemon=True).start()
        else:
            self._loop.add_reader(pidfd, self._on_exit, pidfd)

    def _on_exit(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        # Before the worker is reaped: until then nobody else's group can have its number.
        self._kill_group()
        self._finish()

    def _wait_in_thread(self) -> None:
        self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self.status = self._popen.wait()
        self._read()  # its end may be heard of before its last words
        self._close_stdout()
        self.ended.set()
        self.changed.set()

    def _read(self) -> None:
        if self._stdout.closed:
            return
        try:
            data = os.read(self._stdout.fileno(), READ_BYTES)
        except BlockingIOError:
            return
        for line in self._lines.feed(data):
            self._hear(line)
        if not data:
            self._close_stdout()

    def _close_stdout(self) -> None:
        if not self._stdout.closed:
            self._loop.remove_reader(self._stdout.fileno())
            self._stdout.close()
            self._hear(self._lines.end())

    def _hear(self, line: bytes | None) -> None:
        if line is None:
            reason = f"a worker wrote a line of over {LINE_BYTES} bytes to standard output; it was dropped"
            logger.warning(reason, extra=self.named)
        elif _says_ready(line):
            self.is_ready = True
            self.changed.set()
        elif line.strip():
            text = line.decode("utf-8", "backslashreplace")
            logger.warning("a worker wrote to standard output", extra={**self.named, "line": text})

    def _kill_group(self) -> None:
        # The group may be empty already, or (macOS) hold only a zombie.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class Lines:
    """Cuts a stream of bytes into lines, holding at most ``limit`` bytes; a longer line comes out as ``None``."""

    def __init__(self, limit: int = LINE_BYTES) -> None:
        self._limit = limit
        self._held = bytearray()
        self._is_long = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that ``data`` completes, without their newline."""
        *pieces, rest = data.split(b"\n")
        lines = []
        for piece in pieces:
            self._take(piece)
            lines.append(self.end())
        self._take(rest)
        return lines

    def end(self) -> bytes | None:
        """What came since the last newline, as the line it would have been."""
        line = None if self._is_long else bytes(self._held)
        self._held.clear()
        self._is_long = False
        return line

    def _take(self, piece: bytes) -> None:
        if self._is_long or len(self._held) + len(piece) > self._limit:
            self._is_long = True
            self._held.clear()
        else:
            self._held += piece


def _says_ready(line: bytes) -> bool:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("event") == "ready"


def _bond() -> Callable[[], None] | None:
    """What ties a new process to this one: it runs there between fork and exec."""
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    # Found before the fork: after it, a lock that another thread held here is never released.
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def tie() -> None:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        if os.getppid() != parent:  # the parent died before the line above could take effect
            os._exit(1)

    return tie
