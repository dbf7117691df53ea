"""The composition root: settings, the wired gateway, and the ``voxgate`` command."""

from voxgate_gateway.cli import COMMAND_GROUP, build_cli, main
from voxgate_gateway.composition import Gateway, compose
from voxgate_gateway.serve import bind, run, serve
from voxgate_gateway.settings import DEV_ORIGINS, Settings, load

__all__ = [
    "COMMAND_GROUP",
    "DEV_ORIGINS",
    "Gateway",
    "Settings",
    "__version__",
    "bind",
    "build_cli",
    "compose",
    "load",
    "main",
    "run",
    "serve",
]

__version__ = "0.2.0rc2"
