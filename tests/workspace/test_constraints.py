import re

import pytest

from tests.workspace.layout import PACKAGES, PYPROJECT, ROOT, requirement_name

LINES = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
PIN = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.+!]*( ; [a-z_]+ .+)?")


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_one_exact_pin_and_nothing_else(line: str) -> None:
    assert PIN.fullmatch(line), f"constraints.txt: {line!r} is not name==version; write it with nox -s lock"


@pytest.mark.parametrize("line", LINES)
def test_a_line_names_no_address_and_no_path(line: str) -> None:
    assert not set("/\\@:#") & set(line)
    assert not line.startswith("-")


def test_the_pins_are_in_order_and_every_name_has_one_version_for_one_machine() -> None:
    names = [line.partition("==")[0] for line in LINES]
    assert names == sorted(names)
    unconditional = [line.partition("==")[0] for line in LINES if " ; " not in line]
    assert len(unconditional) == len(set(unconditional))


def test_everything_the_workspace_asks_for_is_pinned() -> None:
    groups = PYPROJECT["dependency-groups"].values()
    asked = {need for group in groups for need in group if isinstance(need, str)}
    for package in PACKAGES:
        asked.update(package.dependencies, package.optional_dependencies)
    names = {requirement_name(need) for need in asked}
    wanted = {name for name in names if not name.startswith("voxgate-")}
    missing = wanted - {line.partition("==")[0] for line in LINES}
    assert not missing, f"constraints.txt does not pin {sorted(missing)}: run nox -s lock and commit it"


def test_no_package_of_ours_is_pinned_from_outside() -> None:
    assert not [line for line in LINES if line.startswith("voxgate")]
