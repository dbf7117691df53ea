import importlib

import pytest

from tests.workspace.layout import PACKAGES, PYPROJECT, Package, requirement_name

HOUSE = {
    "backplane",
    "core",
    "engine",
    "fanout",
    "gates",
    "gateway",
    "observability",
    "realtime",
    "responder",
    "security",
}
VERSION = importlib.import_module("voxgate_core").__version__

packages = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


def internal(package: Package) -> list[str]:
    return [need for need in package.dependencies if requirement_name(need).startswith("voxgate-")]


def test_the_house_has_its_ten_packages() -> None:
    assert {package.name for package in PACKAGES} == HOUSE


@packages
def test_a_package_has_the_files_of_a_distribution(package: Package) -> None:
    for path in (package.path / "README.md", package.source / "__init__.py", package.source / "py.typed"):
        assert path.is_file(), f"add {path.name} to packages/{package.name}"


@packages
def test_a_package_is_named_after_its_folder(package: Package) -> None:
    project = package.pyproject["project"]
    assert project["name"] == package.distribution
    assert project["readme"] == "README.md"
    assert project["license"] == "Apache-2.0"
    assert package.pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [f"src/{package.module}"]


@packages
def test_a_package_has_the_version_of_all_the_others(package: Package) -> None:
    found = {
        "pyproject.toml": package.pyproject["project"]["version"],
        "__version__": importlib.import_module(package.module).__version__,
    }
    assert found == dict.fromkeys(found, VERSION), f"set both versions of packages/{package.name} to {VERSION}"


@packages
def test_a_sibling_is_pinned_exactly_and_found_in_the_workspace(package: Package) -> None:
    pins = {requirement_name(need): need for need in internal(package)}
    for name, need in pins.items():
        assert need == f"{name}=={VERSION}", f"packages/{package.name}/pyproject.toml: write {name}=={VERSION}"
    sources = package.pyproject.get("tool", {}).get("uv", {}).get("sources", {})
    wanted = {name: {"workspace": True} for name in pins}
    assert sources == wanted, f"packages/{package.name}/pyproject.toml: [tool.uv.sources] must be {wanted}"


def test_only_the_gateway_depends_on_a_feature() -> None:
    for package in PACKAGES:
        if package.name != "gateway":
            assert {requirement_name(need) for need in internal(package)} <= {"voxgate-core"}


def test_the_gates_can_be_installed_without_the_rest() -> None:
    assert internal(Package("gates")) == []


def test_coverage_and_layers_name_every_package_on_disk() -> None:
    modules = [package.module for package in PACKAGES]
    assert sorted(PYPROJECT["tool"]["coverage"]["run"]["source_pkgs"]) == modules
    assert sorted(PYPROJECT["tool"]["importlinter"]["root_packages"]) == modules


def test_every_package_has_its_place_in_the_layers() -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {module.strip() for layer in layers for module in layer.split("|")}
    assert placed == {package.module for package in PACKAGES} - {"voxgate_gates"}


def test_the_gates_and_the_rest_are_kept_apart_both_ways() -> None:
    others = {package.module for package in PACKAGES} - {"voxgate_gates"}
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    walls = [
        (set(wall["source_modules"]), set(wall["forbidden_modules"]))
        for wall in contracts
        if wall["type"] == "forbidden"
    ]
    assert ({"voxgate_gates"}, others) in walls
    assert (others, {"voxgate_gates"}) in walls
