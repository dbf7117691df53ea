"""The composition root: settings, the wired gateway, and the ``voxgate`` command.

What is named here is imported when it is first asked for: most commands need no gateway, and start in a third of the time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from voxgate_gateway.cli import COMMAND_GROUP, build_cli, main
    from voxgate_gateway.composition import Gateway, compose
    from voxgate_gateway.serving import bind, run, serve
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

_HOMES: Final = {
    **dict.fromkeys(("COMMAND_GROUP", "build_cli", "main"), "cli"),
    **dict.fromkeys(("Gateway", "compose"), "composition"),
    **dict.fromkeys(("bind", "run", "serve"), "serving"),
    **dict.fromkeys(("DEV_ORIGINS", "Settings", "load"), "settings"),
}

if not TYPE_CHECKING:  # a type checker would take any misspelt name for one that is there

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
