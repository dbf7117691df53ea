import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.envelope import BAR, print_table, ratios

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "envelope.py"


CASES = {"bare, a dict", "bare, a response", "envelope"}


def samples(*ours: float) -> dict[str, list[float]]:
    return {"bare, a dict": [100, 50, 200], "bare, a response": [80, 40, 160], "envelope": list(ours)}


def test_a_short_run_prints_a_table_and_ends_with_one_json_object() -> None:
    command = [sys.executable, str(PROGRAM), "--runs", "1", "--requests", "160", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    result = json.loads(ended.stdout.splitlines()[-1])
    assert set(result) == {"name", "machine", "runs", "cases", "ratios", "absent"}
    assert set(result["cases"]) == CASES
    assert all(figures["cpu_us"] > 0 for figures in result["cases"].values())
    assert set(result["ratios"]) == {"overhead", "overhead_vs_response"}


def test_the_overhead_is_what_is_added_as_a_share_of_the_bare_route() -> None:
    assert ratios(samples(112, 56, 224)) == {"overhead": 0.12, "overhead_vs_response": 0.4}
    assert ratios(samples(90, 45, 180))["overhead"] == -0.1


def test_each_round_is_compared_with_itself_and_one_that_was_disturbed_does_not_count() -> None:
    assert ratios(samples(112, 500, 224))["overhead"] == 0.12


@pytest.mark.parametrize(("ours", "verdict"), [(100 * (1 + BAR), "missed"), (114, "held")])
def test_the_table_says_whether_the_bar_is_held(ours: float, verdict: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table({"cases": {"envelope": {"cpu_us": ours}}, "ratios": ratios(samples(ours, ours / 2, ours * 2))})
    assert capsys.readouterr().out.splitlines()[-1] == f"the bar for overhead is 15%: {verdict}"
