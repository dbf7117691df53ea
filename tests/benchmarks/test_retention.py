import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.retention import BAR_SECONDS, CASES, FILES, fill, print_table

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "retention.py"


def test_a_short_run_prints_a_table_ends_with_one_json_object_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), "--runs", "1", "--files", "1500", "--json"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, env=environ)
    result = json.loads(ended.stdout.splitlines()[-1])
    assert set(result) == {"name", "machine", "runs", "cases", "ratios", "absent"}
    assert set(result["cases"]) | set(result["absent"]) == set(CASES)
    assert all(figures["seconds"] > 0 for figures in result["cases"].values())
    assert result["cases"][CASES[0]]["peak_mib"] > 10
    assert "the bar" not in ended.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_tree_has_as_many_files_as_asked_for_and_all_are_old(tmp_path: Path) -> None:
    fill(tmp_path / "tree", 1001)
    files = [path for path in (tmp_path / "tree").rglob("*") if path.is_file()]
    assert len(files) == 1001
    assert len({path.stat().st_mtime for path in files}) == 1


@pytest.mark.parametrize(("seconds", "verdict"), [(BAR_SECONDS, "missed"), (29.9, "held")])
def test_the_table_says_whether_the_bar_is_held(
    seconds: float, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = {"seconds": seconds, "us_per_file": seconds, "peak_mib": 240.0}
    print_table({"cases": {CASES[0]: ours}, "ratios": {}, "absent": [CASES[1]]}, FILES)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"the bar for a million files is 30 s: {verdict}"
    assert "absent" in lines[-2]
