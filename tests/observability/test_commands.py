import json
import os
import signal
import threading
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.observability.retention.stores import MemoryRecords
from tests.observability.retention.trees import make
from voxgate_observability.commands import build_retention, installed_stores, retention
from voxgate_observability.retention.records import StoreFactories
from voxgate_observability.retention.state import StateFolder

CONFIG = """
[policies.temp]
path = "tmp"
max_age = "1d"
max_share = 1
"""
TALKS = """
[policies.talks]
kind = "conversations"
max_age = "30d"
max_share = 1
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    make(folder / "tmp" / "old.wav", content=b"12345")
    make(folder / "tmp" / "new.wav", days=0)
    (folder / "retention.toml").write_text(CONFIG)
    return folder


def invoke(data: Path, *arguments: str, stores: StoreFactories | None = None) -> Result:
    group = build_retention(lambda: stores or {})
    return CliRunner().invoke(group, [*arguments, "--data-dir", str(data)], catch_exceptions=False)


def report(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data / "retention" / "report.json").read_text())
    return found


def audit(data: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (data / "retention" / "audit.jsonl").read_text().splitlines()]


def test_the_group_is_found_by_the_voxgate_command() -> None:
    (entry,) = entry_points(group="voxgate.commands", name="retention")
    assert entry.load() is retention


def test_plan_says_what_would_go_and_why_and_touches_nothing(data: Path) -> None:
    result = invoke(data, "plan")
    assert result.exit_code == 0
    assert "would go: 1 (5 B) of 2 (6 B)" in result.stdout
    assert "max_age" in result.stdout
    assert "old.wav" in result.stdout
    assert result.stdout.endswith("dry run: nothing was removed\n")
    assert sorted(os.listdir(data)) == ["retention.toml", "tmp"]
    assert len(os.listdir(data / "tmp")) == 2


def test_plan_as_json_names_files_up_to_the_limit(data: Path) -> None:
    make(data / "tmp" / "older.wav", days=20)
    found = json.loads(invoke(data, "plan", "--json", "--limit", "1").stdout)
    (policy,) = found["policies"]
    assert (found["dryRun"], policy["planned"]["count"]) == (True, 2)
    assert [(decision["path"], decision["reason"]) for decision in policy["decisions"]] == [("older.wav", "max_age")]
    assert "and 1 more" in invoke(data, "plan", "--limit", "1").stdout


def test_run_without_apply_removes_nothing_and_says_so(data: Path) -> None:
    result = invoke(data, "run")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "dry run: nothing was removed")
    assert len(os.listdir(data / "tmp")) == 2
    assert (report(data)["dryRun"], report(data)["lastSuccess"]) == (True, None)
    assert [line["dryRun"] for line in audit(data)] == [True]


def test_run_with_apply_removes_what_the_dry_run_told(data: Path) -> None:
    dry = json.loads(invoke(data, "run", "--json").stdout)["policies"][0]
    result = invoke(data, "run", "--apply", "--json")
    done = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (done["applied"], done["policies"][0]["removed"]) == (True, dry["planned"])
    assert os.listdir(data / "tmp") == ["new.wav"]
    assert report(data)["lastSuccess"] == pytest.approx(done["lastSuccess"])
    assert [(line["applied"], line["uid"]) for line in audit(data)] == [(False, os.getuid()), (True, os.getuid())]


def test_run_tells_people_what_went(data: Path) -> None:
    result = invoke(data, "run", "--apply")
    assert "removed: 1 (5 B) of 2 (6 B)" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("applied: ")


def test_a_later_dry_run_does_not_pass_for_a_success(data: Path) -> None:
    metrics = data / "voxgate.prom"
    invoke(data, "run", "--apply")
    success = report(data)["lastSuccess"]
    assert invoke(data, "run", "--textfile", str(metrics)).exit_code == 0
    assert report(data)["lastSuccess"] == success
    assert f"last_success_timestamp_seconds {success:.3f}" in metrics.read_text()
    assert "last_run_applied 0" in metrics.read_text()


def test_the_cap_ends_with_1_until_a_reason_is_given(data: Path) -> None:
    (data / "retention.toml").write_text(CONFIG.replace("max_share = 1", "max_share = 0.1"))
    result = invoke(data, "run", "--apply")
    assert result.exit_code == 1
    assert "temp: more than max_share would go" in result.stderr
    assert len(os.listdir(data / "tmp")) == 2
    assert invoke(data, "run", "--apply", "--force-cap", " ").exit_code == 2
    assert invoke(data, "run", "--apply", "--force-cap", "moved house").exit_code == 0
    assert [line["forcedCap"] for line in audit(data)] == [None, "moved house"]


@pytest.mark.parametrize("arguments", [["plan"], ["run"], ["run", "--apply"]])
def test_a_faulty_configuration_ends_with_2_and_every_fault(data: Path, arguments: list[str]) -> None:
    (data / "retention.toml").write_text('[policies.a]\npath = "/"\n[policies.b]\npath = "."\nmax_age = 3\n')
    result = invoke(data, *arguments)
    assert result.exit_code == 2
    for name in ("policies.a: path", "policies.a: set max_age", "policies.b: path", "policies.b: max_age"):
        assert name in result.stderr
    assert not (data / "retention").exists()


def test_a_path_that_is_a_link_ends_with_2(data: Path) -> None:
    (data / "tmp").rename(data / "real")
    (data / "tmp").symlink_to(data / "real")
    result = invoke(data, "run", "--apply")
    assert (result.exit_code, len(os.listdir(data / "real"))) == (2, 2)
    assert "symbolic link" in result.stderr


def test_a_configuration_that_is_not_there_or_no_text_ends_with_2(data: Path) -> None:
    absent = invoke(data, "plan", "--config", str(data / "absent.toml"))
    assert (absent.exit_code, "absent.toml can't be read" in absent.stderr) == (2, True)
    (data / "retention.toml").write_bytes(b"\xff")
    assert "not UTF-8" in invoke(data, "plan").stderr
    (data / "retention.toml").write_bytes(b"#" * 1_048_577)
    assert "is it the right file?" in invoke(data, "plan").stderr


def test_a_second_run_at_the_same_time_ends_with_2(data: Path) -> None:
    with StateFolder(str(data)) as state, state.lock():
        result = invoke(data, "run", "--apply")
    assert (result.exit_code, "another retention run" in result.stderr) == (2, True)
    assert len(os.listdir(data / "tmp")) == 2


def test_a_report_that_can_not_be_written_is_told_and_the_rest_still_is(data: Path) -> None:
    (data / "retention").mkdir(mode=0o700)
    (data / "retention" / "audit.jsonl").symlink_to(data / "elsewhere")
    result = invoke(data, "run", "--apply", "--textfile", str(data / "absent" / "x.prom"))
    assert result.exit_code == 1
    assert "the audit line can't be written" in result.stderr
    assert "x.prom can't be written" in result.stderr
    assert report(data)["policies"][0]["removed"]["count"] == 1


def test_conversations_go_through_the_store_that_is_handed_in(data: Path) -> None:
    (data / "retention.toml").write_text(TALKS)
    store = MemoryRecords(1.0, 2.0)
    result = invoke(data, "run", "--apply", stores={"conversations": lambda: store})
    assert (result.exit_code, store.times) == (0, [])
    assert "removed: 2" in result.stdout


def test_conversations_without_a_store_end_with_2(data: Path) -> None:
    (data / "retention.toml").write_text(CONFIG + TALKS)
    result = invoke(data, "run", "--apply")
    assert (result.exit_code, "install the gateway" in result.stderr) == (2, True)
    assert os.listdir(data / "tmp") == ["new.wav"]


def test_installed_stores_are_named_by_their_kind() -> None:
    assert set(installed_stores()) <= {"conversations", "audit"}


class InterruptedRecords(MemoryRecords):
    """Someone asks the process to stop while the first batch is being deleted."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(*[1.0] * 1500)
        self._number = number

    async def delete_older_than(self, moment: float, limit: int) -> int:
        signal.raise_signal(self._number)
        return await super().delete_older_than(moment, limit)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_cleanly_with_a_report_of_what_was_done(data: Path, number: signal.Signals) -> None:
    assert threading.current_thread() is threading.main_thread()
    (data / "retention.toml").write_text(TALKS + CONFIG)
    before = signal.getsignal(number)
    store = InterruptedRecords(number)
    result = invoke(data, "run", "--apply", "--json", stores={"conversations": lambda: store})
    assert result.exit_code == 1
    found = report(data)
    assert found["stopped"] == f"stopped by {number.name}"
    assert [policy["removed"]["count"] for policy in found["policies"]] == [1000, 0]
    assert audit(data)[0]["stopped"] == f"stopped by {number.name}"
    assert len(os.listdir(data / "tmp")) == 2
    assert signal.getsignal(number) is before
