"""The shell of `uptime.yml`, run on loopback with a `gh` that remembers what it was asked."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.observability.uptime.serving import PARKED, WELL, Site, running_site
from tests.workflows.files import jobs_of, read

GH = """#!/bin/sh
echo "$*" >>"$GH_LOG"
case "$1 $2" in
"issue list")
    if [ -e "$GH_DOWN" ]; then echo "HTTP 502" >&2; exit 1; fi
    if [ -e "$GH_OPEN" ]; then echo 7; fi ;;
"issue create") touch "$GH_OPEN" ;;
"issue close") rm "$GH_OPEN" ;;
esac
"""


class Runner:
    """A runner of the job's steps; ``gh`` and what it knows lie in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps = {step["name"]: step for step in jobs_of("uptime.yml")["look"]["steps"]}
        fake = folder / "bin" / "gh"
        fake.parent.mkdir()
        fake.write_text(GH)
        fake.chmod(0o755)

    def run(self, step: str, **env: str) -> "subprocess.CompletedProcess[str]":
        own = {name: str(self.folder / name.lower()) for name in ("GH_LOG", "GH_DOWN", "GH_OPEN", "GITHUB_OUTPUT")}
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-e", "-c", self.steps[step]["run"]],
            cwd=self.folder,
            env={"PATH": path, "RUN_URL": "https://run.example/1", **own, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def look(self, url: str) -> dict[str, str]:
        output = self.folder / "github_output"
        output.write_text("")
        done = self.run("Look", HEALTH_URL=url, TRIES="3", PAUSE_SECONDS="0")
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in output.read_text().splitlines())

    def keep(self, state: str, reason: str = "") -> "subprocess.CompletedProcess[str]":
        return self.run("Keep one issue", STATE=state, REASON=reason)

    @property
    def asked(self) -> list[str]:
        """What `gh` was asked to change."""
        log = self.folder / "gh_log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if not line.startswith(("issue list", "label create"))]


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site((200, WELL)) as running:
        yield running


def test_up_is_up_at_the_first_look(runner: Runner, site: Site) -> None:
    assert runner.look(site.url) == {"state": "up"}


def test_one_lost_look_is_no_outage(runner: Runner, site: Site) -> None:
    site.answers = [(503, b""), (503, b""), (200, WELL)]
    assert runner.look(site.url) == {"state": "up"}


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, WELL, "status 503"),
        (200, PARKED, "status 200, but the answer is not this gateway's"),
        (200, json.dumps({"success": True}).encode(), "status 200, but the answer is not this gateway's"),
    ],
)
def test_what_is_wrong_three_times_is_down(runner: Runner, site: Site, status: int, body: bytes, reason: str) -> None:
    site.answers = [(status, body)]
    assert runner.look(site.url) == {"state": "down", "reason": reason}


def test_a_refused_connection_is_down(runner: Runner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = runner.look(f"http://127.0.0.1:{port}/api/health")
    assert found["state"] == "down"
    assert found["reason"].startswith("no answer: curl:")


def test_without_a_url_there_is_nothing_to_look_at(runner: Runner) -> None:
    assert runner.look("") == {"state": "unset"}
    assert "state == 'up' || steps.look.outputs.state == 'down'" in runner.steps["Keep one issue"]["if"]


def test_the_url_is_the_repositorys_variable_and_nowhere_written_down() -> None:
    assert jobs_of("uptime.yml")["look"]["env"]["HEALTH_URL"] == "${{ vars.HEALTH_URL }}"
    assert "https://" not in json.dumps(jobs_of("uptime.yml"))


def test_an_outage_has_one_issue_from_its_begin_to_its_end(runner: Runner) -> None:
    for state in ("up", "down", "down", "up", "up"):
        assert runner.keep(state, "status 503").returncode == 0
    created, commented, closed = runner.asked
    assert created.startswith("issue create --label uptime")
    assert commented.startswith("issue comment 7 --body Still down: status 503")
    assert closed.startswith("issue close 7")


@pytest.mark.parametrize("state", ["up", "down"])
def test_a_look_up_that_failed_is_not_read_as_no_issue(runner: Runner, state: str) -> None:
    (runner.folder / "gh_down").touch()
    assert runner.keep(state, "status 503").returncode != 0
    assert runner.asked == []


def test_a_reason_is_text_and_never_a_command(runner: Runner) -> None:
    reason = '$(touch owned) "; touch owned; #'
    assert runner.keep("down", reason).returncode == 0
    assert reason in runner.asked[0]
    assert not (runner.folder / "owned").exists()


def test_it_enables_itself_whatever_happened(runner: Runner) -> None:
    assert runner.run("Stay enabled").returncode == 0
    assert runner.asked == ["workflow enable uptime.yml"]
    assert runner.steps["Stay enabled"]["if"] == "always()"


def test_a_run_that_found_it_down_is_red(runner: Runner) -> None:
    done = runner.run("Say that it is down", REASON="status 503")
    assert (done.returncode, done.stdout.strip()) == (1, "::error::down: status 503")
    assert read("uptime.yml")["concurrency"] == {"group": "uptime"}
