import asyncio
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from tests.backplane.servers import ended, hearing
from voxgate_backplane.child import LINE_BYTES, TAIL_CHARACTERS, TAIL_LINES, Child
from voxgate_backplane.lock import OwnedFolder, owned

SECRET = "s3cret-Passw0rd"
WAIT = "import signal; signal.pause()"


@asynccontextmanager
async def child(folder: OwnedFolder, script: str) -> AsyncIterator[Child]:
    """A Python in the place of nats-server."""
    started = Child([sys.executable, "-I", "-S", "-c", script], folder, secret=SECRET)
    try:
        yield started
    finally:
        await started.stop()


async def test_what_it_prints_is_logged_at_its_level_and_told_at_its_end(tmp_path: Path) -> None:
    script = "print('[1] [WRN] low\\n[1] [ERR] broken\\nplain'); raise SystemExit(3)"
    with hearing() as heard:
        async with owned(tmp_path) as folder, child(folder, script) as started:
            assert await started.gone()
    assert heard.levels_of("nats-server: low") == {logging.WARNING}
    assert heard.levels_of("nats-server: broken") == {logging.ERROR}
    assert heard.levels_of("nats-server: plain") == {logging.DEBUG}
    assert started.obituary == "it ended with status 3; its last lines:\n  low\n  broken\n  plain"


async def test_a_secret_in_what_it_prints_is_neither_logged_nor_told(tmp_path: Path) -> None:
    with hearing() as heard:
        async with owned(tmp_path) as folder, child(folder, f"print('[1] [ERR] user {SECRET}!')") as started:
            await started.gone()
    assert started.obituary.endswith("user [redacted]!")
    assert [record for record in heard.records if SECRET in record.getMessage()] == []


async def test_only_the_last_lines_are_kept_and_long_ones_cut(tmp_path: Path) -> None:
    async with owned(tmp_path) as folder, child(folder, "for n in range(99): print(n, 'x' * 5000)") as started:
        await started.gone()
    lines = started.obituary.splitlines()[1:]
    assert len(lines) == TAIL_LINES
    assert lines[-1].startswith("  98 x")
    assert {len(line) for line in lines} == {TAIL_CHARACTERS + 2}


async def test_a_line_without_end_is_dropped_and_the_next_one_read(tmp_path: Path) -> None:
    script = f"print('x' * {4 * LINE_BYTES}); print('after')"
    with hearing() as heard:
        async with owned(tmp_path) as folder, child(folder, script) as started:
            await started.gone()
    assert heard.levels_of(f"a line of more than {LINE_BYTES} bytes was dropped") == {logging.WARNING}
    assert started.obituary.endswith("  after")


async def test_bytes_that_are_no_text_are_logged_all_the_same(tmp_path: Path) -> None:
    async with owned(tmp_path) as folder, child(folder, "import os; os.write(2, b'\\xff!\\n')") as started:
        await started.gone()
    assert started.obituary.endswith("�!")


async def test_what_it_said_before_it_was_up_is_no_part_of_its_obituary(tmp_path: Path) -> None:
    with hearing() as heard:
        async with owned(tmp_path) as folder, child(folder, f"print('up', flush=True); {WAIT}") as started:
            await heard.wait_for("up")
            started.forget()
            assert started.obituary == "it runs"
    assert started.obituary == "it was killed by SIGTERM"


async def test_a_program_that_can_not_be_run_is_an_os_error(tmp_path: Path) -> None:
    async with owned(tmp_path) as folder:
        with pytest.raises(FileNotFoundError):
            Child([str(tmp_path / "nothing")], folder, secret=SECRET)


async def test_one_that_is_deaf_to_sigterm_is_killed_after_the_patience(tmp_path: Path) -> None:
    script = f"import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); {WAIT}"
    with hearing() as heard:
        async with owned(tmp_path) as folder, child(folder, script) as started:
            await heard.wait_for("up")
            await started.stop(patience=0.05)
    assert started.obituary.startswith("it was killed by SIGKILL")
    assert heard.levels_of("did not end in 0.05 s and is killed") == {logging.WARNING}


async def test_one_whose_stopping_is_given_up_is_killed_at_once(tmp_path: Path) -> None:
    script = (
        "import os, signal; signal.signal(15, lambda *_: os.write(1, b'asked\\n')); os.write(1, b'up\\n')\n"
        "while True: signal.pause()"
    )
    with hearing() as heard:
        async with owned(tmp_path) as folder, child(folder, script) as started:
            await heard.wait_for("up")
            stopping = asyncio.create_task(started.stop())
            await heard.wait_for("asked")
            stopping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stopping
            assert started.obituary.startswith("it was killed by SIGKILL")


async def test_stopping_reaches_its_whole_group(tmp_path: Path) -> None:
    script = f"import os; print(f'pid={{os.fork() or os.getpid()}}', flush=True); {WAIT}"
    with hearing() as heard:
        async with owned(tmp_path) as folder, child(folder, script) as started:
            told = {int((await heard.wait_for("pid=")).rpartition("=")[2]) for _ in range(2)}
            (grandchild,) = told - {started.pid}
            async with ended(grandchild) as gone:
                await started.stop()
                await gone.wait()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_it_inherits_the_lock_and_nothing_else_of_ours(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOMEMLIMIT", "100MiB")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    script = (
        "import ctypes, os; number = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(number))\n"
        "names = sorted(set(os.environ) - {'LC_CTYPE'})\n"  # Python's own doing
        "print('told', number.value, os.getsid(0) == os.getpid(), names, os.umask(0), os.getcwd())\n"
        "for fd in range(3, 300):\n"
        "    try: print('open', fd, os.readlink(f'/proc/self/fd/{fd}'))\n"
        "    except OSError: pass\n"
    )

    async def scenario() -> tuple[str, int]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.set_inheritable(True)
            async with owned(tmp_path) as folder, child(folder, script) as started:
                await started.gone()
                return started.obituary, folder.descriptor

    with asyncio.Runner(loop_factory=new_loop) as runner:
        obituary, descriptor = runner.run(scenario())
    folder = tmp_path / "nats"
    assert obituary.splitlines()[1:] == [
        f"  told 9 True ['GOMEMLIMIT'] {0o077} {folder}",
        f"  open {descriptor} {folder / 'lock'}",
    ]
    assert os.getcwd() != str(folder)
