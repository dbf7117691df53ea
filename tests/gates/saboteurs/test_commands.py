import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.gates.samples import needs_gateway
from voxgate_gates.saboteurs.commands import gates_selftest


@needs_gateway
@pytest.mark.timeout(180)
def test_the_command_writes_its_report_and_says_what_came(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    words = ["--only", "security.health-head", "--clean-runs", "0", "--report-dir", str(folder), "--json"]
    result = CliRunner().invoke(gates_selftest, words)
    assert result.exit_code == 0, result.output
    document = json.loads((folder / "selftest.json").read_text("utf-8"))
    assert json.loads(result.stdout) == document
    assert (document["saboteurs"], document["caught"], document["missed"]) == (1, 1, [])
    assert "security.health-head/get-only: caught" in result.stderr
    assert "1 of 1 saboteurs caught" in result.stderr


def test_an_unknown_gate_is_named_with_those_there_are() -> None:
    result = CliRunner().invoke(gates_selftest, ["--only", "nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.output
    assert "security" in result.output
