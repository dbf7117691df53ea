"""What the last run of the tests covered, and whether it was of these sources. ``nox -s tests`` leaves it behind."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Final

__all__ = ["COVERAGE", "SOURCES", "coverage_facts", "has_coverage", "sources_digest"]

COVERAGE: Final = Path("build/coverage.json")
"""Coverage's own JSON report, seen from the project."""

SOURCES: Final = Path("build/coverage.sources")
"""The digest of the sources that were measured, and of the tests that did it."""


def has_coverage(project: Path | None) -> bool:
    """Whether the tests of a project were run here, and neither they nor its sources have changed since."""
    if project is None or not (project / COVERAGE).is_file() or not (project / SOURCES).is_file():
        return False
    return (project / SOURCES).read_text("utf-8", "replace").strip() == sources_digest(project)


def sources_digest(project: Path) -> str:
    """SHA-256 over the names and contents of every Python module of the packages and the tests, in the order of their paths."""
    digest = hashlib.sha256()
    modules = (*(project / "packages").glob("*/src/**/*.py"), *(project / "tests").glob("**/*.py"))
    for path in sorted(modules):
        digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def coverage_facts(project: Path) -> dict[str, object]:
    """COVERED and FLOOR, in percent.

    Raises ``OSError``, ``ValueError`` or ``KeyError`` where a file is not what it should be.
    """
    covered = json.loads((project / COVERAGE).read_text("utf-8"))["totals"]["percent_covered"]
    settings = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["tool"]["coverage"]["report"]
    return {"COVERED": round(float(covered), 2), "FLOOR": settings["fail_under"]}
