import json
import shutil
import subprocess
from dataclasses import replace

import pytest

from voxgate_observability.retention.plan import Amount
from voxgate_observability.retention.report import PolicyReport, RunReport, Status, iso_time, metrics_text

RUN = RunReport(
    started_at=1_700_000_000.0,
    seconds=2.5,
    uid=1000,
    is_applied=True,
    forced_cap=None,
    stopped=None,
    policies=(
        PolicyReport("temp", "files", "/srv/x/tmp", matched=Amount(9, 90), planned=Amount(3, 30), removed=Amount(3, 30)),
        PolicyReport("talks", "conversations"),
    ),
)  # fmt: skip


def test_a_run_is_as_bad_as_its_worst_policy() -> None:
    worse = PolicyReport("a", "files")
    worse.worsen(Status.UNJUDGED, "why")
    worse.worsen(Status.SHORT, "and")
    assert (worse.status, worse.notes) == (Status.UNJUDGED, ["why", "and"])
    assert RUN.status is Status.HELD
    assert replace(RUN, policies=(*RUN.policies, worse)).status is Status.UNJUDGED
    assert replace(RUN, stopped="stopped by SIGTERM").status is Status.SHORT


def test_only_a_run_that_removes_and_holds_is_a_success() -> None:
    assert RUN.after(5.0).last_success == 1_700_000_002.5
    assert replace(RUN, is_applied=False).after(5.0).last_success == 5.0
    assert replace(RUN, stopped="x").after(None).last_success is None


def test_the_report_and_the_audit_line_are_json_and_say_who_and_how_much() -> None:
    document = json.loads(json.dumps(RUN.document()))
    assert document["policies"][0]["removed"] == {"count": 3, "bytes": 30, "directories": 0}
    line = json.loads(json.dumps(RUN.audit_line()))
    assert line["event"] == "retention.run"
    assert (line["uid"], line["applied"], line["dryRun"], line["seconds"]) == (1000, True, False, 2.5)
    assert line["startedAt"] == "2023-11-14T22:13:20Z"
    assert line["policies"][0] == {
        "name": "temp", "kind": "files", "path": "/srv/x/tmp", "status": "held", "errors": 0,
        "planned": {"count": 3, "bytes": 30}, "removed": {"count": 3, "bytes": 30, "directories": 0},
    }  # fmt: skip


def test_a_time_that_no_calendar_has_is_a_number() -> None:
    assert iso_time(1e15) == "@1000000000000000"


def test_metrics_say_what_was_removed_and_when_it_last_went_well() -> None:
    lines = metrics_text(RUN.after(None)).splitlines()
    assert "voxgate_retention_last_success_timestamp_seconds 1700000002.500" in lines
    assert 'voxgate_retention_removed_files{policy="temp"} 3' in lines
    assert 'voxgate_retention_removed_bytes{policy="temp"} 30' in lines
    assert "voxgate_retention_last_run_status 0" in lines
    assert not any("last_success" in line for line in metrics_text(RUN).splitlines())


def test_prometheus_finds_no_fault_with_the_metrics() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    text = metrics_text(RUN.after(None))
    checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, timeout=30)
    assert (checked.returncode, checked.stderr) == (0, "")
