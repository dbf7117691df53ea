"""What this version of the package ships: its name and its version."""

from importlib.metadata import version

import voxgate_backplane


def test_the_package_names_the_version_it_is_installed_as() -> None:
    assert voxgate_backplane.__version__ == version("voxgate-backplane") == "0.2.0rc2"


def test_nothing_is_exported_but_the_version() -> None:
    assert voxgate_backplane.__all__ == ["__version__"]
