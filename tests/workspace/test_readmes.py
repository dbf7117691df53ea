import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workspace.layout import PACKAGES, Package

SECONDS = 60.0
"""How long one example may run before it counts as hanging."""

LONGEST_EXAMPLE = 12
"""Lines: an example is for reading at a glance."""

PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

packages = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


def examples(package: Package) -> list[str]:
    return PYTHON_BLOCK.findall((package.path / "README.md").read_text("utf-8"))


def bare_environment() -> dict[str, str]:
    """Without coverage's own variables: the warnings of a measured child would be errors under -W error."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}


@packages
def test_a_readme_shows_one_short_example_of_its_package(package: Package) -> None:
    found = examples(package)
    readme = f"packages/{package.name}/README.md"
    assert len(found) == 1, f"{readme}: show exactly one fenced python block"
    assert package.module in found[0], f"{readme}: its example must import {package.module}"
    assert len(found[0].strip().splitlines()) <= LONGEST_EXAMPLE, (
        f"{readme}: cut the example to {LONGEST_EXAMPLE} lines"
    )


@packages
def test_the_example_runs_without_a_warning(package: Package, tmp_path: Path) -> None:
    for example in examples(package):
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", example],
            cwd=tmp_path,
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert run.returncode == 0, f"packages/{package.name}/README.md: its example fails:\n{run.stderr}"
        swallowed = [line for line in run.stderr.splitlines() if line.startswith(("Traceback", "Exception ignored"))]
        assert not swallowed, f"packages/{package.name}/README.md: its example fails quietly:\n{run.stderr}"
    assert list(tmp_path.iterdir()) == [], f"packages/{package.name}/README.md: its example leaves files behind"


@packages
def test_a_readme_begins_with_the_name_of_its_distribution(package: Package) -> None:
    first = (package.path / "README.md").read_text("utf-8").partition("\n")[0]
    assert first == f"# {package.distribution}"
