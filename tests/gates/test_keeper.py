"""The keeper by itself, as the process it is; the harness's tests drive the rest of its rules."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from voxgate_gates import keeper

# Imported and not run by path, as the harness does: so that its coverage is measured.
IMPORTED = "import sys; from voxgate_gates.keeper import main; raise SystemExit(main(sys.argv[1:]))"


@contextmanager
def keeping(data_dir: Path, *command: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A keeper at work, and the write end of its control pipe, which is closed at the end at the latest."""
    control, writer = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as cleanup:
        cleanup.callback(_close, writer)
        handed = (control, listener.fileno())
        arguments = [sys.executable, "-c", IMPORTED, *map(str, handed), str(data_dir), *command]
        kept = subprocess.Popen(arguments, pass_fds=handed, stdout=subprocess.PIPE)
        os.close(control)
        with kept:
            try:
                yield kept, writer
            finally:
                _close(writer)
                kept.wait(30)


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)


def keep(data_dir: Path, *command: str) -> tuple[int, bytes]:
    """Run a keeper to its own end while its control pipe stays open: its status, and what its server printed."""
    with keeping(data_dir, *command) as (kept, _):
        printed, _ = kept.communicate(timeout=30)
        return kept.returncode, printed


WAIT = "import signal; signal.pause()"


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", script)


def test_the_status_of_the_server_is_the_keepers(tmp_path: Path) -> None:
    assert keep(tmp_path / "data", *python("raise SystemExit(5)")) == (5, b"")


def test_a_death_by_signal_is_told_as_a_shell_does(tmp_path: Path) -> None:
    status, _ = keep(tmp_path / "data", *python("import os; os.kill(os.getpid(), 9)"))
    assert status == 128 + 9


def test_the_server_finds_its_data_directory_and_it_is_gone_afterwards(tmp_path: Path) -> None:
    script = "import os; d = os.environ['VOXGATE_DATA_DIR']; open(d + '/x', 'w').close(); print(d, end='', flush=True)"
    status, printed = keep(tmp_path / "data", *python(script))
    assert (status, printed.decode()) == (0, str(tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []


def test_the_server_leads_its_own_group_and_dies_with_the_keeper(tmp_path: Path) -> None:
    script = (
        "import ctypes, os; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); "
        "print(os.getpgrp() == os.getpid(), n.value, end='', flush=True)"
    )
    _, printed = keep(tmp_path / "data", *python(script))
    assert printed == b"True 9"


def test_a_data_directory_that_exists_is_not_taken_over(tmp_path: Path) -> None:
    kept = tmp_path / "mine"
    kept.write_text("precious")
    status, _ = keep(tmp_path, *python("print('ran')"))
    assert status == 1
    assert kept.read_text() == "precious"


def test_closing_the_control_pipe_stops_the_server_and_is_no_failure(tmp_path: Path) -> None:
    with keeping(tmp_path / "data", *python(f"print('up', flush=True); {WAIT}")) as (kept, writer):
        assert kept.stdout is not None
        assert kept.stdout.readline() == b"up\n"
        os.close(writer)
        assert kept.wait(30) == 0
    assert list(tmp_path.iterdir()) == []


def test_sigterm_stops_the_server_and_sigint_does_not(tmp_path: Path) -> None:
    with keeping(tmp_path / "data", *python(f"print('up', flush=True); {WAIT}")) as (kept, _):
        assert kept.stdout is not None
        assert kept.stdout.readline() == b"up\n"
        kept.send_signal(signal.SIGINT)
        kept.send_signal(signal.SIGTERM)
        assert kept.wait(30) == 0


def test_a_server_deaf_to_sigterm_and_its_strays_are_killed(tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"stray = subprocess.Popen([sys.executable, '-I', '-S', '-c', {WAIT!r}], start_new_session=True); "
        f"print(stray.pid, flush=True); {WAIT}"
    )
    with keeping(tmp_path / "data", *python(script)) as (kept, writer):
        assert kept.stdout is not None
        stray = int(kept.stdout.readline())
        os.close(writer)
        assert kept.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(stray, 0)


@pytest.mark.parametrize("name", ["GRACE_SECONDS", "REAP_SECONDS"])
def test_every_wait_is_bounded(name: str) -> None:
    assert 0 < getattr(keeper, name) <= 5
