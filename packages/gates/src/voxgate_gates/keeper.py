"""Stands between the harness and the server it starts, and outlives neither by more than a moment.

Run by path, as a process of its own: ``python -I keeper.py CONTROL_FD LISTEN_FD DATA_DIR COMMAND…``. It imports
nothing but the standard library, so that it is up in milliseconds. Its rules:

1. It makes DATA_DIR, passes it on as ``VOXGATE_DATA_DIR``, and removes it at the end, whatever the end was.
2. CONTROL_FD is the read end of a pipe whose only writer is the harness. End of file means stop: the harness asked
   for it, or was killed. So does SIGTERM.
3. The server leads its own process group and dies with the keeper (``PR_SET_PDEATHSIG``). Stopping is SIGTERM to
   the group, GRACE_SECONDS of patience, then SIGKILL.
4. As a subreaper (``PR_SET_CHILD_SUBREAPER``) it inherits every descendant that left the group, and kills those too.
5. It exits with the server's status, 128 and the signal's number for a death by signal, 0 for a stop that was asked.

Rules 3 and 4 are Linux's; elsewhere the process group alone is what gets stopped.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["GRACE_SECONDS", "main"]

GRACE_SECONDS = 2.0
"""From SIGTERM to SIGKILL."""

REAP_SECONDS = 2.0
"""How long killed processes may take to be gone."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIGNALS = 64  # that are read at once, a byte each


def main(arguments: list[str]) -> int:
    """Keep one server. ``arguments`` are those of the command line; the result is the exit status."""
    control, listener, data_dir, *command = arguments
    wakeup = _watch_signals()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    Path(data_dir).mkdir(mode=0o700)
    try:
        return _keep(int(control), int(listener), data_dir, command, wakeup)
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def _keep(control: int, listener: int, data_dir: str, command: list[str], wakeup: int) -> int:
    keeper = os.getpid()

    def before_exec() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:  # the keeper died before the line above could take effect
            os._exit(1)

    server = subprocess.Popen(
        command,
        env={**os.environ, "VOXGATE_DATA_DIR": data_dir},
        stdin=subprocess.DEVNULL,
        pass_fds=(listener,),
        start_new_session=True,
        preexec_fn=before_exec,
    )
    # The port must refuse, and stdout end, once the server is gone: so the keeper holds neither.
    os.close(listener)
    _let_go_of_stdout()
    try:
        is_asked = _wait(server, control, wakeup)
    finally:
        _stop(server, wakeup)
        _kill_strays(wakeup)
    if is_asked:
        return 0
    status = server.returncode
    return 128 - status if status < 0 else status


def _watch_signals() -> int:
    """Make SIGCHLD and SIGTERM readable as bytes of the descriptor returned; ignore the terminal's SIGINT."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return reader


def _wait(server: "subprocess.Popen[bytes]", control: int, wakeup: int) -> bool:
    """Until the server ends (``False``) or a stop is asked for (``True``)."""
    while server.poll() is None:
        ready, _, _ = select.select([control, wakeup], [], [])
        if control in ready and not os.read(control, 1):
            return True
        if wakeup in ready and signal.SIGTERM in os.read(wakeup, _SIGNALS):
            return True
    return False


def _stop(server: "subprocess.Popen[bytes]", wakeup: int) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    _signal_group(server.pid, signal.SIGTERM)
    while server.poll() is None and _wait_for_signal(wakeup, deadline):
        pass
    _signal_group(server.pid, signal.SIGKILL)
    server.wait(REAP_SECONDS)


def _signal_group(group: int, number: int) -> None:
    # The group may be empty already, or (macOS) hold only a zombie.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _kill_strays(wakeup: int) -> None:
    """Kill and reap whatever has been left to this process, until nothing is."""
    deadline = time.monotonic() + REAP_SECONDS
    while time.monotonic() < deadline:
        for stray in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)
        try:
            reaped, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not reaped and not _wait_for_signal(wakeup, deadline):
            return


def _wait_for_signal(wakeup: int, deadline: float) -> bool:
    """Until a signal comes, such as that of a child that ended; ``False`` when none came before ``deadline``."""
    ready, _, _ = select.select([wakeup], [], [], max(0.0, deadline - time.monotonic()))
    if ready:
        os.read(wakeup, _SIGNALS)
    return bool(ready)


def _children() -> list[int]:
    try:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:  # no /proc: the process group was all there is to stop
        return []
    return [int(pid) for pid in listed.split()]


def _let_go_of_stdout() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
