from importlib.metadata import version

import voxgate_backplane


def test_the_package_names_the_version_it_is_installed_as() -> None:
    assert voxgate_backplane.__version__ == version("voxgate-backplane") == "0.2.0rc2"
