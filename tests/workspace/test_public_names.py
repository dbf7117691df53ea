import ast
import importlib
from pathlib import Path

import pytest

from tests.workspace.layout import PACKAGES, ROOT, Package, parse

MODULES = [(package, path) for package in PACKAGES for path in package.modules]

modules = pytest.mark.parametrize(
    ("package", "path"), MODULES, ids=[package.dotted(path) for package, path in MODULES]
)  # fmt: skip
packages = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


def in_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order ruff's RUF022 writes."""
    if name.isupper() and len(name) > 1:
        return 0, name
    return (1, name) if name[:1].isupper() else (2, name)


def public_names(path: Path) -> list[str] | None:
    """The literal ``__all__`` of a module, read without importing it."""
    for node in parse(path).body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets):
            return list(ast.literal_eval(node.value))
    return None


@modules
def test_a_module_says_what_is_public_in_order_and_once(package: Package, path: Path) -> None:
    names = public_names(path)
    where = path.relative_to(ROOT)
    if path.name == "__main__.py":
        return
    assert names is not None, f"{where}: add a literal __all__"
    assert names == sorted(set(names), key=in_order), f"{where}: run ruff check --select RUF022 --fix on it"


@modules
def test_every_public_name_is_there(package: Package, path: Path) -> None:
    if path.name == "__main__.py":
        return
    module = importlib.import_module(package.dotted(path))
    absent = [name for name in public_names(path) or [] if not hasattr(module, name)]
    assert not absent, f"{path.relative_to(ROOT)}: __all__ names {absent}, which the module does not define"


@packages
def test_a_package_publishes_its_version_and_nothing_private(package: Package) -> None:
    names = public_names(package.source / "__init__.py") or []
    assert "__version__" in names
    private = [name for name in names if name.startswith("_") and name != "__version__"]
    assert not private, f"{package.module}/__init__.py: {private} are private by their names"


@modules
def test_a_module_begins_by_saying_what_it_is_for(package: Package, path: Path) -> None:
    assert ast.get_docstring(parse(path)), f"{path.relative_to(ROOT)}: begin with a docstring"
