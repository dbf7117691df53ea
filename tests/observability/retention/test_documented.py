"""``docs/retention.md`` is run as it stands: the policies, the cron line, the systemd units, the alert."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.observability.retention.trees import make
from voxgate_observability.retention.policy import parse_config
from voxgate_observability.retention.units import duration

PAGE = Path(__file__).parents[3] / "docs" / "retention.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

INSTALLED = "/opt/voxgate/bin"
"""Where the page says that the command is installed."""

_VOXGATE = """#!{python}
import click
from voxgate_observability.commands import retention
click.Group("voxgate", commands=[retention])()
"""


def fences(language: str) -> list[str]:
    return [body for found, body in FENCE.findall(PAGE.read_text("utf-8")) if found == language]


SETTINGS = "/etc/voxgate/env"
"""Where the runbook's Deploy puts the gateway's settings."""

DATA_DIR = "/var/lib/voxgate"
"""Its data folder there."""


def environment(lines: list[str], machine: Path) -> dict[str, str]:
    """The page's variables, with its paths replaced by those of a machine made for the test, and nothing else."""
    variables = dict(line.split("=", 1) for line in lines)
    replaced = {
        "PATH": variables["PATH"].replace(INSTALLED, str(machine / "bin")),
        "VOXGATE_RETENTION_TEXTFILE": str(machine / "metrics" / Path(variables["VOXGATE_RETENTION_TEXTFILE"]).name),
    }
    assert set(variables) == set(replaced)
    assert INSTALLED in variables["PATH"]
    return {**replaced, "HOME": str(machine)}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with the command, the policies of temp files from the page, and something to remove."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "voxgate"
    command.write_text(_VOXGATE.format(python=sys.executable))
    command.chmod(0o755)
    (tmp_path / "metrics").mkdir()
    (policies,) = fences("toml")
    temp = policies[policies.index("[policies.temp]") : policies.index("[policies.logs]")]
    (tmp_path / "env").write_text(f"VOXGATE_DATA_DIR={tmp_path / 'data'}\n")
    make(tmp_path / "data" / "tmp" / "old")
    make(tmp_path / "data" / "tmp" / "new", days=0)
    (tmp_path / "data" / "retention.toml").write_text(temp)
    return tmp_path


def assert_it_ran(machine: Path, done: "subprocess.CompletedProcess[str]") -> None:
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(machine / "data" / "tmp") == ["new"]
    report = json.loads((machine / "data" / "retention" / "report.json").read_text())
    assert report["applied"] is True
    (metrics,) = (machine / "metrics").iterdir()
    assert metrics.suffix == ".prom"
    assert "voxgate_retention_last_success_timestamp_seconds" in metrics.read_text()


def execute(command: list[str], env: dict[str, str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=env, cwd=cwd, text=True, capture_output=True, timeout=60)


def test_the_policies_are_without_fault() -> None:
    (policies,) = fences("toml")
    config = parse_config(policies, data_dir="/var/lib/voxgate", home="/people/ann")
    assert [policy.name for policy in config.policies] == ["temp", "logs", "recordings", "conversations", "audit"]
    assert config.time_limit == duration("10m")


def test_the_cron_line_runs_as_it_is_written(machine: Path) -> None:
    (crontab,) = fences("cron")
    *variables, line = crontab.splitlines()
    *schedule, user, command = line.split(None, 6)
    assert (len(schedule), user) == (5, "voxgate")
    assert all(re.fullmatch(r"\*|[0-9]{1,2}", field) for field in schedule)
    assert "%" not in command  # cron would make a line break of it
    assert SETTINGS in command
    command = command.replace(SETTINGS, str(machine / "env"))
    done = execute(["/bin/sh", "-c", command], environment(variables, machine), machine)
    assert_it_ran(machine, done)
    assert done.stdout == ""


def units() -> tuple[str, str]:
    service, timer = fences("systemd")
    return service, timer


def values(unit: str, key: str) -> list[str]:
    return [line.split("=", 1)[1] for line in unit.splitlines() if line.startswith(f"{key}=")]


def test_the_systemd_service_runs_as_it_is_written(machine: Path) -> None:
    service, _ = units()
    (command,) = values(service, "ExecStart")
    assert values(service, "EnvironmentFile") == [SETTINGS]
    settings = dict(line.split("=", 1) for line in (machine / "env").read_text().splitlines())
    env = environment(values(service, "Environment"), machine) | settings
    done = execute(shlex.split(command), env, machine)
    assert_it_ran(machine, done)
    assert done.stdout.splitlines()[-1].startswith("applied: ")


def test_the_service_may_write_where_it_must() -> None:
    service, _ = units()
    listed = values(service, "ReadWritePaths")[0].split()
    writable = [path.removeprefix("-") for path in listed]
    variables = dict(line.split("=", 1) for line in values(service, "Environment"))
    assert DATA_DIR in writable
    assert str(Path(variables["VOXGATE_RETENTION_TEXTFILE"]).parent) in writable
    (policies,) = fences("toml")
    for path in re.findall(r'^path = "(/.*)"$', policies, re.MULTILINE):
        assert path in writable
    # What no package makes must not keep systemd from starting the service.
    assert [path for path in listed if not path.startswith("-")] == [DATA_DIR]


def test_systemd_finds_no_fault_with_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    service, timer = units()
    for name, unit in (("voxgate-retention.service", service), ("voxgate-retention.timer", timer)):
        (tmp_path / name).write_text(unit)
    files = [str(tmp_path / "voxgate-retention.service"), str(tmp_path / "voxgate-retention.timer")]
    verified = execute([analyze, "verify", "--man=no", *files], dict(os.environ), tmp_path)
    ours = [line for line in verified.stderr.splitlines() if "voxgate" in line]
    assert (verified.returncode, ours) == (0, [])
    (calendar,) = values(timer, "OnCalendar")
    assert execute([analyze, "calendar", calendar], dict(os.environ), tmp_path).returncode == 0


_RULE_TESTS: dict[str, Any] = {
    "rule_files": ["rules.yml"],
    "evaluation_interval": "1h",
    "tests": [
        {
            "interval": "1h",
            "input_series": [
                {"series": 'voxgate_retention_last_success_timestamp_seconds{instance="a"}', "values": "0x100"}
            ],
            "alert_rule_test": [
                {"eval_time": "47h", "alertname": "VoxgateRetentionOverdue", "exp_alerts": []},
                {
                    "eval_time": "49h",
                    "alertname": "VoxgateRetentionOverdue",
                    "exp_alerts": [
                        {
                            "exp_labels": {"severity": "warning", "instance": "a"},
                            "exp_annotations": {
                                "summary": "Retention has not succeeded on a for two days",
                                "description": "Run `voxgate retention plan` there; its report says what fell short.",
                            },
                        }
                    ],
                },
                {"eval_time": "72h", "alertname": "VoxgateRetentionNeverSucceeded", "exp_alerts": []},
            ],
        },
        {
            "interval": "1h",
            "input_series": [{"series": "up", "values": "1x100"}],
            "alert_rule_test": [
                {"eval_time": "47h", "alertname": "VoxgateRetentionNeverSucceeded", "exp_alerts": []},
                {
                    "eval_time": "49h",
                    "alertname": "VoxgateRetentionNeverSucceeded",
                    "exp_alerts": [
                        {
                            "exp_labels": {"severity": "warning"},
                            "exp_annotations": {
                                "summary": "No machine reports a success of retention",
                                "description": "Check that the timer runs, and that node_exporter reads the metrics.",
                            },
                        }
                    ],
                },
            ],
        },
    ],
}


def test_the_alert_fires_when_retention_did_not_run_for_two_days(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    (rules,) = fences("yaml")
    (tmp_path / "rules.yml").write_text(rules)
    (tmp_path / "tests.yml").write_text(json.dumps(_RULE_TESTS))  # JSON is YAML, too
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "tests.yml"]):
        done = execute([promtool, *command], dict(os.environ), tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
