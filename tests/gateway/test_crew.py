import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backplane.servers import running_server
from tests.gateway.processes import PATIENCE, children_of, environment, gone, linux_only, ran, started
from tests.gateway.rig import PREVIEW, STORED_OPERATOR_KEY, names_in, shared
from voxgate_fanout import CONTROL_FILE
from voxgate_gateway.control import new_control
from voxgate_gateway.crew import worker_environment
from voxgate_gateway.settings import load

TWO = ("--workers", "2")


def test_workers_know_the_keys_that_are_set_and_that_of_the_control_file() -> None:
    control = new_control()
    made, dev_key = worker_environment(load(PREVIEW), control)
    assert made == {"VOXGATE_API_KEYS": f"{STORED_OPERATOR_KEY},{control.stored}"}
    assert dev_key is None


def test_what_dev_makes_up_is_made_once_for_all_workers() -> None:
    control = new_control()
    made, dev_key = worker_environment(load({}), control)
    assert dev_key is not None
    assert made["VOXGATE_API_KEYS"].endswith(f",{control.stored}")
    assert made["JWT_SECRET"].startswith("dev:")
    assert dev_key not in "".join(made.values())
    settings = load(made)
    assert settings.faults() == []


def test_callers_by_oidc_alone_need_no_key_but_that_of_the_control_file() -> None:
    control = new_control()
    environ = {name: value for name, value in PREVIEW.items() if name != "VOXGATE_API_KEYS"}
    made, dev_key = worker_environment(load({**environ, "VOXGATE_OIDC_ISSUER": "https://id.example"}), control)
    assert (made, dev_key) == ({"VOXGATE_API_KEYS": control.stored}, None)


IMPATIENT = """
from voxgate_gateway import crew
from voxgate_gateway.cli import main

crew.PATIENCE_SECONDS = {patience}
main(["serve", "--port", "0", "--workers", "2"])
"""


@linux_only
async def test_a_worker_is_not_killed_while_it_drains(tmp_path: Path) -> None:
    """The parent's own patience is shorter here than the drain: only what is added to it keeps the worker alive."""
    patience, drain = 6, 7
    popen = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", IMPATIENT.format(patience=patience)),
        env=environment(tmp_path / "data", {**PREVIEW, "VOXGATE_DRAIN_SECONDS": str(drain)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    try:
        assert popen.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert json.loads(await popen.stdout.readline())["event"] == "ready"
            popen.send_signal(signal.SIGTERM)
            _, err = await popen.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            popen.kill()
    log = err.decode()
    assert '"draining"' in log
    assert "a worker has stopped" in log
    assert "is killed" not in log


@linux_only
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_line_says_that_all_answer_and_one_signal_stops_them_all(
    number: signal.Signals, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    async with started(data_dir, *TWO, environ={}) as process:
        assert set(process.ready) == {"event", "url", "pid", "devKey"}
        assert (process.ready["event"], process.ready["pid"]) == ("ready", process.pid)
        assert (data_dir / CONTROL_FILE).is_file()
        children = children_of(process.pid)
        assert len(children) == 3
        assert sum(name == "nats-server" for name in children.values()) == 1
        process.send(number)
        status, rest = await process.ended()
        assert (status, rest) == ({signal.SIGTERM: -number, signal.SIGINT: 0}[number], b"")
        for child in children:
            await gone(child)
    assert names_in(data_dir) == {"nats"}
    log = process.logged()
    assert process.ready["devKey"] not in log
    assert "Traceback" not in log
    assert log.count("JWT_SECRET is not set") == 1


async def test_faults_are_listed_once_and_no_worker_is_started(tmp_path: Path) -> None:
    environ = {**PREVIEW, "JWT_SECRET": "k:short", "VOXGATE_FANOUT_ALLOW_NETS": "lots"}
    status, out, err = await ran(tmp_path / "data", "serve", "--port", "0", *TWO, environ=environ)
    assert (status, out) == (2, "")
    assert err.count("VOXGATE_FANOUT_ALLOW_NETS") == 1
    assert "JWT_SECRET" in err
    assert not (tmp_path / "data").exists()


@linux_only
async def test_workers_that_cannot_start_end_the_parent_with_their_status_and_a_sentence(tmp_path: Path) -> None:
    async with running_server(tmp_path / "nats") as server:
        environ = {**PREVIEW, **shared(server), "VOXGATE_NATS_PASSWORD": "not-the-one"}
        status, out, err = await ran(tmp_path / "data", "serve", "--port", "0", *TWO, environ=environ)
    assert (status, out) == (2, "")
    assert "VOXGATE_NATS_URL: the NATS server refuses the login" in err  # said by the worker
    assert re.search(r"^voxgate cannot start: worker [12]/2 ended with status 2 before it was ready", err, re.M)
    assert "Traceback" not in err
    assert "not-the-one" not in err
    assert names_in(tmp_path / "data") == set()


@linux_only
async def test_a_killed_parent_leaves_no_process_and_its_data_directory_to_the_next(tmp_path: Path) -> None:
    async with started(tmp_path / "data", *TWO) as process:
        children = children_of(process.pid)
        assert len(children) == 3
        process.send(signal.SIGKILL)
        await process.ended()
        for child in children:
            await gone(child)
    async with started(tmp_path / "data") as process:
        assert process.ready["pid"] == process.pid
