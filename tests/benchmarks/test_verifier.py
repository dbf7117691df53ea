"""The verifier benchmark runs and prints the JSON object that others read."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_tiny_run_prints_every_case_and_both_ratios() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "verifier.py"), "--runs", "1", "--count", "5", "--json"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=ROOT).stdout
    result = json.loads(output.splitlines()[-1])
    assert set(result) == {"name", "machine", "runs", "cases", "ratios"}
    assert (result["name"], result["runs"]) == ("verifier", 1)
    assert set(result["ratios"]) == {"p99_us", "origin_us"}
    assert all(value > 0 for value in result["ratios"].values())
    for name in ("guard and verify, HS256", "guard and verify, EdDSA", "bare PyJWT decode, HS256", "Origin, exact"):
        assert result["cases"][name]["wall_p99_us"] > 0
        assert name in output
    assert any(name.startswith("Starlette") for name in result["cases"])


def test_without_json_only_the_table_is_printed() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "verifier.py"), "--runs", "1", "--count", "1"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=ROOT).stdout
    assert "bar 150" in output
    assert not output.splitlines()[-1].startswith("{")
