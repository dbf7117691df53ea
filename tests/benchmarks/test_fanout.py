import json
import subprocess
import sys
from pathlib import Path

from benchmarks.fanout import ratios

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "fanout.py"


def test_a_short_run_prints_a_table_and_ends_with_one_json_object() -> None:
    command = [sys.executable, str(PROGRAM), "--runs", "1", "--events", "64", "--many-seconds", "1", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    result = json.loads(ended.stdout.splitlines()[-1])
    assert set(result) == {"name", "machine", "runs", "cases", "ratios", "absent"}
    assert {"voxgate", "bare", "plain", "many", "many, some hanging"} <= set(result["cases"])
    assert set(result["cases"]["voxgate"]) == {"deliveries", "cpu_us", "spilled_share", "accepts"}
    for figure in ("deliveries", "cpu_us", "accepts"):
        assert result["cases"]["voxgate"][figure] > 0
    assert result["ratios"]["deliveries_vs_bare"] > 0
    assert ("deliveries_vs_celery" in result["ratios"]) is ("celery" not in result["absent"])
    for name in result["absent"]:
        assert f"{name}: absent" in ended.stdout


def test_a_ratio_is_ours_over_theirs_and_only_of_what_was_measured() -> None:
    cases = {
        "voxgate": {"deliveries": 3000.0, "cpu_us": 200.0, "accepts": 10_000.0},
        "bare": {"deliveries": 4000.0, "cpu_us": 100.0},
        "plain": {"accepts": 2500.0},
    }
    assert ratios(cases) == {"deliveries_vs_bare": 0.75, "accepts_vs_plain": 4.0, "cpu_vs_bare": 2.0}
