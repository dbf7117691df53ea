import json
from pathlib import Path

import pytest

from tests.gates.samples import made_report, made_result
from voxgate_gates import write_reports


def test_four_files_appear_and_no_draft_stays(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "gates"
    written = write_reports(made_report(made_result()), folder, {})
    assert [path.name for path in written] == ["report.html", "report.json", "junit.xml", "summary.md"]
    assert sorted(folder.iterdir()) == sorted(written)
    assert json.loads((folder / "report.json").read_text())["verdict"] == "pass"


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    write_reports(made_report(made_result()), tmp_path, {})
    write_reports(made_report(), tmp_path, {})
    assert json.loads((tmp_path / "report.json").read_text())["gates"] == []


def test_the_step_summary_is_appended_to(tmp_path: Path) -> None:
    summary = tmp_path / "step.md"
    summary.write_text("before\n")
    write_reports(made_report(made_result()), tmp_path / "out", {"GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text().startswith("before\n## Release gates")


def test_a_file_that_can_not_be_replaced_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(OSError, match=r"report\.json"):
        write_reports(made_report(), tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
