import json
import subprocess
import sys
from pathlib import Path

from benchmarks.relay import percentile, ratios

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "relay.py"


def test_a_short_run_prints_a_table_and_ends_with_one_json_object() -> None:
    command = [sys.executable, str(PROGRAM), "--runs", "1", "--messages", "400", "--idle", "10", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    result = json.loads(ended.stdout.splitlines()[-1])
    assert set(result) == {"name", "machine", "runs", "cases", "ratios", "absent"}
    assert {"voxgate 2KB", "voxgate 8KB", "starlette 2KB", "starlette 8KB"} <= set(result["cases"])
    for figures in result["cases"].values():
        assert set(figures) == {
            "cpu_us", "cpu_paced_us", "added_p50_us", "added_p99_us", "kib_per_connection",
        }  # fmt: skip
        assert figures["cpu_us"] > 0
    assert result["ratios"]["cpu_vs_starlette"] > 0
    assert ("cpu_vs_nginx" in result["ratios"]) is ("nginx" not in result["absent"])
    for name in result["absent"]:
        assert f"{name}: absent" in ended.stdout


def test_the_ratio_quoted_is_of_one_message_of_each_size() -> None:
    def case(cpu: float) -> dict[str, float]:
        return {
            "cpu_us": cpu, "cpu_paced_us": cpu / 2, "added_p50_us": cpu, "added_p99_us": -1, "kib_per_connection": cpu,
        }  # fmt: skip

    cases = {"voxgate 2KB": case(5), "voxgate 8KB": case(9), "starlette 2KB": case(10), "starlette 8KB": case(10)}
    found = ratios(cases)
    assert found["cpu_vs_starlette"] == found["cpu_vs_starlette_paced"] == 0.7
    assert found["cpu_vs_starlette_2kb"] == 0.5
    assert found["cpu_vs_starlette_8kb"] == 0.9
    assert found["added_p50_vs_starlette"] == found["kib_vs_starlette"] == 0.7
    assert not any("added_p99" in name for name in found), "a latency below none has no ratio"
    assert not any("nginx" in name for name in found)


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile(list(range(100)), 0.5) == 50
    assert percentile(list(range(100)), 0.99) == 99
    assert percentile([7], 0.99) == 7
