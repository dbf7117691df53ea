import asyncio
import os
import signal
import sys

import pytest

from tests.gateway.puppets import PUPPET, READY, Puppet, Stage, dies, on_each_loop
from voxgate_fanout.service import END_SECONDS, FLUSH_SECONDS
from voxgate_gateway.serving import GRACEFUL_SECONDS
from voxgate_gateway.store.recorder import FLUSH_SECONDS as STORE_FLUSH_SECONDS
from voxgate_gateway.workers import PATIENCE_SECONDS, START_ATTEMPTS, STEADY_SECONDS, WorkersFailed, pause_before

SOON = 1.0
"""Seconds of patience in tests in which it runs out."""


async def all_ready(stage: Stage, count: int) -> list[Puppet]:
    puppets = await stage.born(count)
    for puppet in puppets:
        await puppet.tell("say", READY)
    await stage.ready.wait()
    return puppets


def is_left(puppet: Puppet) -> bool:
    """Whether a process, or a zombie, still has its number."""
    try:
        os.kill(puppet.pid, 0)
    except ProcessLookupError:
        return False
    return True


# Starting


@on_each_loop
async def test_every_worker_has_a_slot_and_ready_is_called_when_the_last_one_is(stage: Stage) -> None:
    stage.supervise(3)
    puppets = await stage.born(3)
    assert [puppet.worker for puppet in puppets] == ["1/3", "2/3", "3/3"]
    for puppet in puppets:
        assert not stage.ready.is_set()
        await puppet.tell("say", READY)
    await stage.ready.wait()


@on_each_loop
async def test_a_worker_that_comes_back_before_all_are_ready_is_not_counted_twice(stage: Stage) -> None:
    stage.supervise(2)
    first, second = await stage.born(2)
    await first.tell("say", READY)
    await first.exits(1)
    again = await stage.next()
    await again.tell("say", READY)
    await stage.log.until("a worker is ready", 2)
    assert not stage.ready.is_set()
    await second.tell("say", READY)
    await stage.ready.wait()


@on_each_loop
async def test_garbage_before_the_ready_line_delays_nothing(stage: Stage) -> None:
    stage.supervise(1)
    puppet = await stage.next()
    await puppet.tell("say", "\x00\xff{" * 40_000 + "\n{}\nready\n" + READY)
    await stage.ready.wait()


@on_each_loop
async def test_a_configuration_fault_fails_the_start_at_once_with_its_status(stage: Stage) -> None:
    task = stage.supervise(3)
    first, second, third = await stage.born(3)
    await first.tell("say", READY)
    await second.exits(2)
    with pytest.raises(WorkersFailed, match="worker 2/3 ended with status 2 before it was ready") as failed:
        await task
    assert failed.value.status == 2
    assert not any(map(is_left, (first, second, third)))
    assert not stage.ready.is_set()
    assert stage.pauses.asked.empty()
    assert stage.refuses()


@on_each_loop
@pytest.mark.parametrize(("end", "status"), [(3, 3), (-signal.SIGABRT, 128 + signal.SIGABRT), (0, 1)])
async def test_a_worker_that_never_gets_ready_in_several_attempts_fails_the_start(
    stage: Stage, end: int, status: int
) -> None:
    task = stage.supervise(1)
    for _ in range(START_ATTEMPTS):
        puppet = await stage.next()
        await (puppet.exits(end) if end >= 0 else puppet.is_killed(-end))
    with pytest.raises(WorkersFailed, match="worker 1/1 (ended with status|was ended by signal)") as failed:
        await task
    assert failed.value.status == status
    assert [stage.pauses.asked.get_nowait() for _ in range(START_ATTEMPTS - 1)] == [0.5, 1.0]


@on_each_loop
async def test_a_worker_that_gets_ready_at_the_last_attempt_has_started(stage: Stage) -> None:
    stage.supervise(1)
    for _ in range(START_ATTEMPTS - 1):
        await (await stage.next()).exits(1)
    await all_ready(stage, 1)


@on_each_loop
async def test_a_worker_that_is_silent_for_too_long_fails_the_start(stage: Stage) -> None:
    task = stage.supervise(2, ready_seconds=SOON)
    with pytest.raises(WorkersFailed, match="was not ready within 1 s") as failed:
        await task
    assert failed.value.status == 1
    assert not any(map(is_left, stage.puppets))


@on_each_loop
async def test_a_command_that_is_not_there_fails_the_start(stage: Stage) -> None:
    with pytest.raises(WorkersFailed, match="could not be started.*/nowhere/voxgate.*mend the command") as failed:
        await stage.supervise(2, command=["/nowhere/voxgate"])
    assert failed.value.status == 1


@on_each_loop
async def test_a_parent_that_fails_when_all_are_ready_takes_them_along(stage: Stage) -> None:
    def fails() -> None:
        raise BrokenPipeError("nobody reads the ready line")

    task = stage.supervise(1, ready=fails)
    puppet = await stage.next()
    puppet.send("say", READY)
    with pytest.raises(BrokenPipeError):
        await task
    assert not is_left(puppet)


# Starting anew


@on_each_loop
async def test_callers_are_never_refused_while_workers_die_and_come_back(stage: Stage) -> None:
    stage.supervise(2)
    first, second = await all_ready(stage, 2)
    await first.tell("serve")
    assert await stage.ask() == first.pid
    stage.pauses.let.clear()
    await first.is_killed()
    await stage.pauses.asked.get()
    await second.tell("serve")
    assert {await stage.ask() for _ in range(20)} == {second.pid}
    await second.is_killed()
    await stage.pauses.asked.get()
    waiting = [asyncio.create_task(stage.ask()) for _ in range(20)]
    assert not stage.refuses()
    stage.pauses.let.set()
    again = await stage.born(2)
    assert [puppet.worker for puppet in again] == ["1/2", "2/2"]
    await again[1].tell("serve")
    assert set(await asyncio.gather(*waiting)) == {again[1].pid}


@on_each_loop
async def test_a_death_is_logged_with_the_slot_the_number_and_the_status(stage: Stage) -> None:
    stage.supervise(2)
    _, puppet = await all_ready(stage, 2)
    await puppet.exits(70)
    await stage.next()
    (record,) = stage.log.of("a worker ended with status 70; another is started")
    told = {name: record[name] for name in ("levelname", "worker", "pid", "status", "pause")}
    assert told == {"levelname": "ERROR", "worker": "2/2", "pid": puppet.pid, "status": 70, "pause": 0.5}


@on_each_loop
async def test_each_failure_in_a_row_doubles_the_pause_of_its_slot_until_it_ran_well(stage: Stage) -> None:
    stage.supervise(2)
    _, puppet = await all_ready(stage, 2)
    for failures, lived in enumerate((0.0, STEADY_SECONDS - 1, 1.0, STEADY_SECONDS, 0.0)):
        stage.clock.advance(lived)
        await puppet.exits(2)  # no longer a fault of the start
        puppet = await stage.next()
        assert puppet.worker == "2/2"
        await puppet.tell("say", READY)
        await stage.log.until("a worker is ready", 3 + failures)
    assert [stage.pauses.asked.get_nowait() for _ in range(5)] == [0.5, 1.0, 2.0, 0.5, 1.0]


@on_each_loop
async def test_a_replacement_that_is_silent_for_too_long_is_killed_and_replaced(stage: Stage) -> None:
    stage.supervise(1, ready_seconds=SOON)
    (puppet,) = await all_ready(stage, 1)
    await puppet.exits(0)
    silent = await stage.next()
    await dies(silent.pidfd)
    await stage.next()
    (record,) = stage.log.of("a worker was not ready within 1 s and was killed")
    assert (record["pid"], record["pause"]) == (silent.pid, 1.0)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (8, 30), (10**6, 30)])
def test_the_pause_doubles_up_to_the_longest(failures: int, seconds: float) -> None:
    assert pause_before(failures) == seconds


# Stopping


@on_each_loop
async def test_a_stop_leaves_no_process_and_no_port(stage: Stage) -> None:
    task = stage.supervise(3)
    puppets = await all_ready(stage, 3)
    stage.stop.set()
    await task
    assert not any(map(is_left, puppets))
    assert stage.refuses()
    ends = stage.log.of("a worker has stopped")
    assert {(end["pid"], end["status"]) for end in ends} == {(puppet.pid, -signal.SIGTERM) for puppet in puppets}


@on_each_loop
async def test_a_stop_before_anything_was_ready_leaves_nothing_either(stage: Stage) -> None:
    stage.stop.set()
    await stage.supervise(2)
    assert not stage.ready.is_set()
    assert stage.refuses()


@on_each_loop
async def test_a_worker_deaf_to_sigterm_is_killed_when_patience_ends(stage: Stage) -> None:
    task = stage.supervise(2, patience=SOON)
    deaf, well = await all_ready(stage, 2)
    await deaf.tell("be deaf")
    stage.stop.set()
    await task
    ends = {end["pid"]: end["status"] for end in stage.log.of("a worker has stopped")}
    assert ends == {deaf.pid: -signal.SIGKILL, well.pid: -signal.SIGTERM}
    (record,) = stage.log.of("a worker did not stop in time and is killed")
    assert record["pid"] == deaf.pid
    assert not is_left(deaf)


@on_each_loop
async def test_a_worker_has_its_time_and_a_second_stop_does_not_shorten_it(stage: Stage) -> None:
    task = stage.supervise(2)
    slow, quick = await all_ready(stage, 2)
    await slow.tell("be deaf")
    stage.stop.set()
    await dies(quick.pidfd)
    stage.stop.set()
    await slow.exits(0)
    await task
    ends = {end["pid"]: end["status"] for end in stage.log.of("a worker has stopped")}
    assert ends == {slow.pid: 0, quick.pid: -signal.SIGTERM}


@on_each_loop
async def test_nothing_is_started_any_more_once_a_stop_was_asked_for(stage: Stage) -> None:
    task = stage.supervise(3)
    pausing, dying, slow = await all_ready(stage, 3)
    stage.pauses.let.clear()
    await pausing.exits(1)
    await stage.pauses.asked.get()
    await slow.tell("be deaf")
    stage.stop.set()
    await dies(dying.pidfd)
    stage.pauses.let.set()
    await slow.exits(0)
    await task
    assert len(stage.puppets) == 3
    assert {end["pid"] for end in stage.log.of("a worker has stopped")} == {dying.pid, slow.pid}


@on_each_loop
async def test_a_cancellation_stops_all_workers_with_patience(stage: Stage) -> None:
    task = stage.supervise(2)
    slow, quick = await all_ready(stage, 2)
    await slow.tell("be deaf")
    task.cancel()
    await dies(quick.pidfd)
    await slow.exits(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_left(slow)
    assert not is_left(quick)


@on_each_loop
async def test_a_second_cancellation_ends_the_patience(stage: Stage) -> None:
    task = stage.supervise(2)
    slow, quick = await all_ready(stage, 2)
    await slow.tell("be deaf")
    task.cancel()
    await dies(quick.pidfd)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    ends = {end["pid"]: end["status"] for end in stage.log.of("a worker has stopped")}
    assert ends == {slow.pid: -signal.SIGKILL, quick.pid: -signal.SIGTERM}
    assert not is_left(slow)


PARENT = """
import asyncio, os, socket, sys
import uvloop
from voxgate_gateway.workers import supervise

async def main(fd, command):
    listener = socket.socket(fileno=fd)
    await supervise(command, 2, environ=os.environ, listener=listener, ready=lambda: None, stop=asyncio.Event())

loop, fd, *command = sys.argv[1:]
factory = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[loop]
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main(int(fd), command))
"""


@on_each_loop
async def test_a_parent_that_is_killed_takes_all_workers_along(stage: Stage) -> None:
    fd = stage.listener.fileno()
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, stage.loop, str(fd), *PUPPET),
        env={**os.environ, **stage.environ},
        stdin=asyncio.subprocess.PIPE,
        pass_fds=(fd,),
    )
    try:
        puppets = await stage.born(2)
        assert {puppet.about["stdin"] for puppet in puppets} == {os.devnull}  # not the parent's
        await puppets[0].tell("be deaf")
    finally:
        parent.kill()
        await parent.wait()
    for puppet in puppets:
        await dies(puppet.pidfd)


def test_patience_outlasts_the_graceful_stop_of_a_gateway() -> None:
    assert PATIENCE_SECONDS >= GRACEFUL_SECONDS + FLUSH_SECONDS + END_SECONDS + STORE_FLUSH_SECONDS + 5
