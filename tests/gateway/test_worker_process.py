import asyncio
import errno
import json
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.puppets import READY, Stage, dies, on_each_loop
from voxgate_gateway.worker_process import LINE_BYTES, Lines, WorkerProcess

WROTE = "a worker wrote to standard output"


@on_each_loop
async def test_a_worker_finds_its_slot_and_no_other_environment_than_was_given(stage: Stage) -> None:
    stage.environ["LC_ALL"] = "C.UTF-8"  # or Python sets LC_CTYPE itself
    _, puppet = await stage.start("2/3")
    assert puppet.about["environ"] == {**stage.environ, "VOXGATE_WORKER": "2/3"}


@on_each_loop
async def test_a_worker_leads_a_session_reads_nothing_and_dies_with_its_parent(stage: Stage) -> None:
    _, puppet = await stage.start("1/1")
    assert puppet.about["leadsSession"]
    assert puppet.about["stdin"] == os.devnull
    assert puppet.about["deathSignal"] == signal.SIGKILL


@on_each_loop
async def test_a_worker_accepts_on_the_socket_it_was_handed(stage: Stage) -> None:
    _, puppet = await stage.start("1/1")
    await puppet.tell("serve")
    assert await stage.ask() == puppet.pid


@on_each_loop
async def test_the_ready_line_is_heard_and_neither_logged_nor_printed(stage: Stage) -> None:
    worker, puppet = await stage.start("1/1")
    assert not worker.changed.is_set()
    await puppet.tell("say", READY)
    await worker.changed.wait()
    assert worker.is_ready
    await puppet.tell("say", READY)
    await puppet.exits(0)
    await worker.ended.wait()
    assert not stage.log.records


@on_each_loop
async def test_other_lines_are_logged_and_do_not_make_it_ready(stage: Stage) -> None:
    worker, puppet = await stage.start("1/2")
    lines = ["loading…", '{"event": "loaded"}', '["ready"]', '"ready"', "[" * LINE_BYTES, "{\x00"]
    await puppet.tell("say", "".join(f"{line}\n\n" for line in lines))
    await puppet.exits(0)
    await worker.ended.wait()
    assert not worker.is_ready
    assert [record["line"] for record in stage.log.of(WROTE)] == lines
    assert {(record["worker"], record["pid"]) for record in stage.log.of(WROTE)} == {("1/2", puppet.pid)}


@on_each_loop
async def test_a_line_that_is_too_long_is_dropped_and_the_next_is_read(stage: Stage) -> None:
    worker, puppet = await stage.start("1/1")
    endless = json.dumps({"event": "ready", "padding": "x" * LINE_BYTES})
    await puppet.tell("say", endless + "\n")
    await puppet.tell("say", READY)
    await worker.changed.wait()
    (record,) = stage.log.of("a worker wrote a line of over 4096 bytes")
    assert record["pid"] == puppet.pid
    assert not stage.log.of(WROTE)


@on_each_loop
async def test_the_last_words_of_a_worker_are_heard_without_a_newline(stage: Stage) -> None:
    worker, puppet = await stage.start("1/1")
    await puppet.tell("say", READY + "bye")
    await puppet.exits(0)
    await worker.ended.wait()
    assert worker.is_ready
    assert [record["line"] for record in stage.log.of(WROTE)] == ["bye"]


@on_each_loop
async def test_a_worker_may_close_its_standard_output_and_run_on(stage: Stage) -> None:
    worker, puppet = await stage.start("1/1")
    await puppet.tell("say", "bye")
    await puppet.tell("hush")
    await stage.log.until(WROTE, 1)
    await puppet.tell("serve")
    assert await stage.ask() == puppet.pid
    assert not worker.changed.is_set()
    await puppet.exits(7)
    await worker.ended.wait()
    assert worker.status == 7
    assert [record["line"] for record in stage.log.of(WROTE)] == ["bye"]


@on_each_loop
async def test_a_death_by_signal_has_the_signal_as_its_negative_status(stage: Stage) -> None:
    worker, puppet = await stage.start("1/1")
    await puppet.is_killed(signal.SIGTERM)
    await worker.ended.wait()
    assert worker.status == -signal.SIGTERM
    worker.ask_to_stop()  # harmless: it has been reaped, and its number may be another's
    worker.kill()


@on_each_loop
async def test_what_a_worker_had_started_neither_hides_its_end_nor_outlives_it(stage: Stage) -> None:
    worker, puppet = await stage.start("1/1")
    pidfd = os.pidfd_open(await puppet.tell("beget"))
    try:
        await puppet.exits(0)
        async with asyncio.timeout(30):
            await worker.ended.wait()
        await dies(pidfd)
    finally:
        os.close(pidfd)


@on_each_loop
async def test_killing_a_worker_kills_what_it_had_started(stage: Stage) -> None:
    worker, puppet = await stage.start("1/1")
    pidfd = os.pidfd_open(await puppet.tell("beget"))
    try:
        worker.kill()
        await worker.ended.wait()
        await dies(pidfd)
    finally:
        os.close(pidfd)


@on_each_loop
async def test_a_command_that_is_not_there_says_so(stage: Stage) -> None:
    with pytest.raises(FileNotFoundError, match="/nowhere/voxgate"):
        WorkerProcess(["/nowhere/voxgate"], "1/1", environ={}, listener=stage.listener.fileno())


# A thread at a fork is what Python 3.12 and later warn of.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@on_each_loop
async def test_a_worker_is_waited_for_where_there_are_no_pidfds(stage: Stage) -> None:
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.delattr(os, "pidfd_open")
        worker, puppet = await stage.start("1/1")
    await puppet.tell("say", READY + "bye")
    await puppet.exits(5)
    await worker.ended.wait()
    assert (worker.is_ready, worker.status) == (True, 5)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@on_each_loop
async def test_a_worker_is_waited_for_and_killed_where_a_sandbox_forbids_pidfds(stage: Stage) -> None:
    def forbidden(*_: object) -> int:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with pytest.MonkeyPatch.context() as sandbox:
        sandbox.setattr(os, "pidfd_open", forbidden)
        worker, puppet = await stage.start("1/1")
    await puppet.tell("be deaf")
    worker.ask_to_stop()
    await puppet.tell("say", "still here\n")
    worker.kill()
    await worker.ended.wait()
    assert worker.status == -signal.SIGKILL


BOND = """
import os
from voxgate_gateway.worker_process import _bond

def status_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

tie = _bond()
child = os.fork()
if not child:
    tie()
    os._exit(0)
between = os.fork()
if not between:
    grandchild = os.fork()
    if not grandchild:
        tie()
        os._exit(0)
    os._exit(status_of(grandchild))
print(status_of(child), status_of(between))
"""
"""A grandchild stands for a child whose parent is gone: its parent is not the process that made the bond."""


def test_a_worker_whose_parent_died_before_the_bond_held_does_not_start() -> None:
    ended = subprocess.run([sys.executable, "-c", BOND], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.returncode) == ("0 1\n", 0), ended.stderr


@given(st.lists(st.binary(max_size=12)), st.integers(1, 8))
def test_lines_come_out_whole_however_the_stream_is_cut(chunks: list[bytes], limit: int) -> None:
    lines = Lines(limit)
    heard = [line for chunk in chunks for line in lines.feed(chunk)]
    expected = [line if len(line) <= limit else None for line in b"".join(chunks).split(b"\n")]
    assert [*heard, lines.end()] == expected
    assert lines.end() == b""


def test_no_more_than_the_limit_is_held() -> None:
    lines = Lines(16)
    for _ in range(100):
        lines.feed(b"x" * 10)
        assert len(lines._held) <= 16
