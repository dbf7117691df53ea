"""The health step on the real command, and on commands that behave badly."""

import json
import sys
from pathlib import Path

import pytest

from tests.gates.samples import needs_gateway
from voxgate_gates import Check, Result, Target, run_checks
from voxgate_gates.checks.build_health import suite
from voxgate_gates.coverage import COVERAGE
from voxgate_gates.harness import VOXGATE
from voxgate_gates.processes import _started, still_there
from voxgate_gates.saboteurs import Saboteur
from voxgate_gates.saboteurs.build import SABOTEURS
from voxgate_gates.waiting import ask_until

CHECKS: dict[str, Check] = {check.id: check for check in suite}


async def judged(name: str, command: tuple[str, ...], project: Path | None = None) -> Result:
    target = Target("http://127.0.0.1:9", command=command, project=project, coverage=project is not None)
    return (await run_checks(target, [CHECKS[f"build.{name}"]], version="test")).results[0]


@needs_gateway
@pytest.mark.parametrize("name", ["port-taken", "leaves-nothing"])
async def test_the_gateway_keeps_its_promise(name: str) -> None:
    result = await judged(name, VOXGATE)
    assert result.verdict == "pass", result.echo


@needs_gateway
@pytest.mark.parametrize("saboteur", [each for each in SABOTEURS if each.command], ids=lambda saboteur: saboteur.id)
async def test_its_saboteur_is_caught(saboteur: Saboteur) -> None:
    assert saboteur.command is not None
    result = await judged(saboteur.check.removeprefix("build."), saboteur.command(VOXGATE))
    assert result.verdict == "fail", result.echo


def test_a_gateway_is_stopped_in_its_group_and_away_from_it() -> None:
    names = {saboteur.name for saboteur in SABOTEURS if saboteur.check == "build.leaves-nothing"}
    assert names == {"runs-on", "moves-away"}


STRAY = """
import json, os, signal, socket, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
listener = socket.create_server(("127.0.0.1", 0))
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True, close_fds=True)
print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
signal.pause()
"""


async def test_a_process_that_moved_to_a_session_of_its_own_is_found_and_ended() -> None:
    result = await judged("leaves-nothing", (sys.executable, "-c", STRAY))
    assert (result.verdict, result.shortfalls) == ("fail", ("[PROCESSES_LEFT] == 0, got 1",))


MUTE_STRAY = """
import subprocess, sys
stray = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True, close_fds=True)
with open(sys.argv[1], "w") as told:
    told.write(str(stray.pid))
print("hello", flush=True)
stray.wait()
"""


async def test_what_moved_away_is_ended_where_nothing_could_be_judged_too(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    result = await judged("leaves-nothing", (sys.executable, "-c", MUTE_STRAY, str(told)))
    assert result.verdict == "error"
    stray = int(told.read_text())
    assert await ask_until(lambda: _is_gone(stray), lambda gone: gone, seconds=10)


async def _is_gone(pid: int) -> bool:
    # Ended is enough: who reaps it is not ours to say.
    return not still_there(frozenset({(pid, _started(pid) or "")}))


async def test_a_command_that_never_says_where_it_is_can_not_be_judged() -> None:
    result = await judged("leaves-nothing", (sys.executable, "-c", "print('hello')"))
    assert (result.verdict, "no ready line" in result.got) == ("error", True)


@pytest.mark.parametrize(("covered", "verdict"), [(95.0, "pass"), (89.9, "fail")])
async def test_what_is_covered_is_held_to_the_floor(tmp_path: Path, covered: float, verdict: str) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.coverage.report]\nfail_under = 90\n")
    (tmp_path / "build").mkdir()
    (tmp_path / COVERAGE).write_text(json.dumps({"totals": {"percent_covered": covered}}))
    result = await judged("coverage-floor", (), tmp_path)
    assert result.verdict == verdict
    assert result.figures == (("covered by tests", f"{covered} %"),)


async def test_a_report_that_can_not_be_read_is_not_judged(tmp_path: Path) -> None:
    result = await judged("coverage-floor", (), tmp_path)
    assert (result.verdict, "can't be read" in result.got) == ("error", True)
