"""The shim carries copies of what Python holds, so that it can be deployed alone: they are the same, all of them."""

import ast

from php_shim.tools.sync import DATA, wanted
from tests.php.shim import ROOT


def test_every_copy_is_equal_to_what_it_is_a_copy_of() -> None:
    found = {path.relative_to(DATA).as_posix(): path.read_bytes() for path in DATA.rglob("*.json")}
    files = wanted()
    assert sorted(found) == sorted(files), "run .venv/bin/python php_shim/tools/sync.py"
    for name, content in files.items():
        assert found[name] == content, f"data/{name} differs: run .venv/bin/python php_shim/tools/sync.py"


def test_the_copies_hold_the_headers_the_errors_the_rules_and_the_schemas() -> None:
    names = set(wanted())
    assert {"security_headers.json", "errors.json", "table.json", "donna_rules.json"} <= names
    assert len([name for name in names if name.startswith("schemas/")]) == 9


def test_the_tools_import_nothing_that_the_tests_lack() -> None:
    for path in (ROOT / "php_shim" / "tools").glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text("utf-8")))
