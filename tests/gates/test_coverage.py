import json
from pathlib import Path

import pytest

from voxgate_gates.coverage import COVERAGE, SOURCES, coverage_facts, has_coverage, sources_digest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose tests were run."""
    module = tmp_path / "packages" / "a" / "src" / "a" / "b.py"
    module.parent.mkdir(parents=True)
    module.write_text("x = 1\n")
    (tmp_path / "tests" / "a").mkdir(parents=True)
    (tmp_path / "tests" / "a" / "test_b.py").write_text("def test_x(): pass\n")
    (tmp_path / "pyproject.toml").write_text("[tool.coverage.report]\nfail_under = 90\n")
    (tmp_path / "build").mkdir()
    (tmp_path / COVERAGE).write_text(json.dumps({"totals": {"percent_covered": 92.346}}))
    (tmp_path / SOURCES).write_text(sources_digest(tmp_path) + "\n")
    return tmp_path


def test_a_run_of_these_sources_counts(project: Path) -> None:
    assert has_coverage(project)
    assert coverage_facts(project) == {"COVERED": 92.35, "FLOOR": 90}


@pytest.mark.parametrize("change", ["edited", "added", "renamed"])
def test_a_run_of_other_sources_does_not(project: Path, change: str) -> None:
    module = project / "packages" / "a" / "src" / "a" / "b.py"
    match change:
        case "edited":
            module.write_text("x = 2\n")
        case "added":
            module.with_name("c.py").write_text("")
        case _:
            module.rename(module.with_name("d.py"))
    assert not has_coverage(project)


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_a_run_of_other_tests_does_not_either(project: Path, change: str) -> None:
    test = project / "tests" / "a" / "test_b.py"
    test.write_text("") if change == "edited" else test.unlink()
    assert not has_coverage(project)


def test_without_a_run_there_is_none(project: Path) -> None:
    assert not has_coverage(None)
    (project / COVERAGE).unlink()
    assert not has_coverage(project)
