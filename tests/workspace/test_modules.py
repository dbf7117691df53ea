from pathlib import Path

import pytest

from tests.workspace.layout import PACKAGES, ROOT, Package, kept_files

LONGEST_FILE = 400
"""Lines; a file past this has two jobs (house rule)."""

LONGER_WITH_REASON: dict[str, str] = {}
"""Path in the repository to the reason why its lines belong in one file."""

UNTESTED = {"__init__.py", "__main__.py"}
"""Files that only re-export or start: their package's other tests run them."""

MODULES = [
    (package, path) for package in PACKAGES for path in package.modules if path.name not in UNTESTED
]  # fmt: skip
CODE = [
    path for path in kept_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in {"packages", "tests"}
]


@pytest.mark.parametrize(("package", "path"), MODULES, ids=[package.dotted(path) for package, path in MODULES])
def test_a_module_has_a_test_module_of_its_name(package: Package, path: Path) -> None:
    place = path.relative_to(package.source)
    expected = ROOT / "tests" / package.name / place.parent / f"test_{place.stem.lstrip('_')}.py"
    assert expected.is_file(), f"{path.relative_to(ROOT)}: add {expected.relative_to(ROOT)}"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_folder_of_tests_is_a_package(package: Package) -> None:
    folders = {path.parent for path in (ROOT / "tests" / package.name).rglob("*.py")}
    for folder in folders | {ROOT / "tests" / package.name}:
        assert (folder / "__init__.py").is_file(), f"add {folder.relative_to(ROOT)}/__init__.py"


@pytest.mark.parametrize("path", CODE, ids=[str(path.relative_to(ROOT)) for path in CODE])
def test_a_file_is_short_enough_to_have_one_job(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    lines = len(path.read_text("utf-8").splitlines())
    if name in LONGER_WITH_REASON:
        assert lines > LONGEST_FILE, f"{name} is short again: take it out of LONGER_WITH_REASON"
    else:
        assert lines <= LONGEST_FILE, f"{name} has {lines} lines: split it, or give the reason in LONGER_WITH_REASON"
