from importlib.metadata import version

from voxgate_gateway.version import VERSION


def test_the_version_shown_is_the_one_installed() -> None:
    assert version("voxgate-gateway") == VERSION
