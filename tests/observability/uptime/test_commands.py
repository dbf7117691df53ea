import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.observability.uptime.serving import PARKED, WELL, running_site
from voxgate_core import ConfigurationError
from voxgate_observability.uptime.commands import uptime


def run(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(uptime, words, env={"HEALTH_URL": None, **(env or {})})


def test_what_is_up_exits_0_and_is_said_in_one_line() -> None:
    with running_site((200, WELL)) as site:
        result = run("check", site.url)
        by_variable = run("check", "--json", env={"HEALTH_URL": site.url})
    assert result.exit_code == 0
    assert result.stdout.startswith(f"up  {site.url}  ")
    assert {"up": True, "faults": [], "certificateDays": None}.items() <= json.loads(by_variable.stdout).items()


@pytest.mark.parametrize(("status", "body"), [(503, WELL), (200, PARKED)])
def test_what_fell_short_exits_1_and_says_why(status: int, body: bytes) -> None:
    with running_site((status, body)) as site:
        result = run("check", site.url)
    assert result.exit_code == 1
    assert result.stdout.startswith("DOWN")
    assert result.stderr.strip()


def test_what_can_not_be_looked_at_is_a_fault_of_the_configuration() -> None:
    assert isinstance(run("check", "example.com").exception, ConfigurationError)


@pytest.mark.parametrize("command", ["check", "watch"])
@pytest.mark.parametrize("env", [{}, {"HEALTH_URL": ""}], ids=["unset", "empty"])
def test_without_a_url_both_ways_to_name_one_are_told(command: str, env: dict[str, str]) -> None:
    result = run(command, env=env)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "name the URL to look at, or set HEALTH_URL" in result.stderr


def watched(site_url: str, history: Path, count: int, *words: str, env: dict[str, str] | None = None) -> Result:
    return run(
        "watch", site_url, "--history", str(history), "--interval", "0.05", "--count", str(count), *words, env=env
    )


def test_a_watch_tells_changes_and_nothing_else(tmp_path: Path) -> None:
    history = tmp_path / "uptime.sqlite3"
    bad, good = (503, b"{}"), (200, WELL)
    with running_site((202, b"{}")) as gateway, running_site(good, bad, bad, bad, bad, good, good, good) as site:
        words = ("--json", "--notify", gateway.url)
        result = watched(site.url, history, 8, *words, env={"VOXGATE_UPTIME_KEY": "vk_1"})
    assert result.exit_code == 0
    assert [json.loads(line)["up"] for line in result.stdout.splitlines()] == [False, True]
    assert [json.loads(body)["type"] for _, body in gateway.asked] == ["uptime.target.down", "uptime.target.up"]
    report = json.loads(run("report", "--history", str(history), "--json").stdout)
    assert (report["looks"], report["availability"], len(report["outages"])) == (8, 0.5, 1)
    table = run("report", "--history", str(history)).stdout
    assert "50.000%" in table
    assert "down from" in table


def test_a_watch_that_ends_while_it_is_down_exits_1_and_remembers(tmp_path: Path) -> None:
    history = tmp_path / "uptime.sqlite3"
    with running_site((503, b"{}")) as site:
        first = watched(site.url, history, 3)
        second = watched(site.url, history, 1)
    assert (first.exit_code, second.exit_code) == (1, 1)
    assert "down" in first.stdout
    assert second.stdout == ""


def test_a_signal_ends_a_watch_at_once(tmp_path: Path) -> None:
    with running_site((503, b"{}")) as site:
        words = ("watch", site.url, "--history", str(tmp_path / "u.sqlite3"), "--interval", "0.05", "--json")
        program = "import sys; from voxgate_observability.uptime.commands import uptime; uptime(sys.argv[1:])"
        with subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["up"] is False
            os.kill(watching.pid, signal.SIGTERM)
            assert watching.wait(timeout=20) == 1


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with running_site((200, WELL)) as site:
        no_key = watched(site.url, tmp_path / "u.sqlite3", 1, "--notify", site.url)
    assert "VOXGATE_UPTIME_KEY" in str(no_key.exception)
    assert "uptime watch" in str(run("report", "--history", str(tmp_path / "none.sqlite3")).exception)
    (tmp_path / "text.sqlite3").write_text("no database " * 100)
    assert "can't be read" in str(run("report", "--history", str(tmp_path / "text.sqlite3")).exception)


def test_a_watch_goes_on_while_its_history_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxgate_observability.uptime.history.BUSY_SECONDS", 0.01)
    history = tmp_path / "uptime.sqlite3"
    bad = (503, b"{}")
    with running_site((200, WELL)) as site:
        watched(site.url, history, 1)
    with closing(sqlite3.connect(history)) as database, running_site(bad) as site:
        database.execute("BEGIN IMMEDIATE")
        result = watched(site.url, history, 3)
        database.rollback()
    assert "DOWN" in result.stdout.upper()
    assert result.stderr.count("not in the history") == 3


def test_the_history_is_kept_with_the_other_data(tmp_path: Path) -> None:
    with running_site((200, WELL)) as site:
        result = run("watch", site.url, "--count", "1", env={"VOXGATE_DATA_DIR": str(tmp_path / "data")})
    assert result.exit_code == 0
    assert (tmp_path / "data" / "uptime.sqlite3").is_file()
