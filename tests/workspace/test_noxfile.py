import ast
import re
import tomllib

import pytest

from tests.workspace.layout import ROOT, parse

TREE = parse(ROOT / "noxfile.py")
SCRIPT_HEADER = re.compile(r"^# /// script$\n((?:^#(?: .*)?$\n)+?)^# ///$", re.MULTILINE)
CONTRACT_SESSIONS = {"lint", "types", "layers", "tests", "isolated", "dev", "lock", "gates", "site"}


def is_session(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(target, ast.Attribute) and target.attr == "session"


SESSIONS = {
    node.name: node
    for node in TREE.body
    if isinstance(node, ast.FunctionDef) and any(is_session(decorator) for decorator in node.decorator_list)
}


def assigned(name: str) -> ast.expr:
    for node in TREE.body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return node.value
    pytest.fail(f"noxfile.py assigns no {name}")


def test_every_session_the_documents_name_is_there() -> None:
    assert set(SESSIONS) >= CONTRACT_SESSIONS


@pytest.mark.parametrize("name", SESSIONS)
def test_the_menu_has_one_line_for_every_session(name: str) -> None:
    text = ast.get_docstring(SESSIONS[name])
    assert text, f"noxfile.py: give {name} a docstring; nox -l shows its first line"
    first = text.partition("\n")[0]
    assert first.endswith("."), f"noxfile.py: the first line of {name}'s docstring is its line in the menu"
    assert first[0].isupper()


def test_every_gate_can_be_run_alone() -> None:
    gates = ast.literal_eval(assigned("GATES"))
    alone = {name.removeprefix("gate_") for name in SESSIONS if name.startswith("gate_")}
    assert alone == set(gates), "noxfile.py: GATES and the gate_<name> sessions must name the same gates"


def test_the_packages_are_read_from_disk_and_not_typed_by_hand() -> None:
    value = assigned("PACKAGES")
    literals = {node.value for node in ast.walk(value) if isinstance(node, ast.Constant)}
    assert "packages" in literals
    assert not literals & {"core", "gateway", "security"}


def test_a_runner_without_nox_can_read_which_nox_it_needs() -> None:
    """PEP 723: ``uv run noxfile.py`` and nox itself read this header."""
    match = SCRIPT_HEADER.search((ROOT / "noxfile.py").read_text("utf-8"))
    assert match is not None
    header = tomllib.loads("".join(line[2:] for line in match[1].splitlines(keepends=True)))
    wanted = next(
        node.value
        for node in TREE.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "nox.needs_version"
    )
    assert header["dependencies"] == [f"nox[uv]{ast.literal_eval(wanted)}"]
