from importlib.metadata import version

import voxgate_fanout


def test_the_package_names_the_version_it_is_installed_as() -> None:
    assert voxgate_fanout.__version__ == version("voxgate-fanout") == "0.2.0rc2"
