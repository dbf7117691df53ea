"""Finds variables that look like settings of voxgate's and are none. Pure."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from voxgate_gateway.settings import Settings

__all__ = ["GATES", "OTHER_NAMES", "PREFIX", "unknown"]

PREFIX: Final = "VOXGATE_"

GATES: Final = "VOXGATE_GATE_"
"""What variables begin with that a `gates.toml` may name: any of them may be meant."""

OTHER_NAMES: Final = (
    "VOXGATE_ENGINE_API_KEY",
    "VOXGATE_ISSUER_KEY",
    "VOXGATE_KEY",
    "VOXGATE_PHP_DATA_DIR",
    "VOXGATE_RETENTION_CONFIG",
    "VOXGATE_RETENTION_TEXTFILE",
    "VOXGATE_UPTIME_KEY",
    "VOXGATE_URL",
)
"""What the commands beside the gateway, the PHP shim and the examples read."""

MOST_STRANGERS: Final = 10
"""Variables that are named as unknown; whoever sets more has read none of them."""


def unknown(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that looks like a setting of voxgate's, and is none: a slip of the pen, most likely."""
    known = [*(str(field.alias) for field in Settings.model_fields.values()), *OTHER_NAMES]
    strangers = sorted(
        name for name in environ if name.startswith(PREFIX) and name not in known and not name.startswith(GATES)
    )
    return [
        f"{name} is no setting of voxgate's and changes nothing{_guess(name, known)}"
        for name in strangers[:MOST_STRANGERS]
    ]


def _guess(name: str, known: Sequence[str]) -> str:
    # Without what they all begin with, which makes any two names alike.
    endings = [setting.removeprefix(PREFIX) for setting in known if setting.startswith(PREFIX)]
    near = get_close_matches(name.removeprefix(PREFIX), endings, n=1)
    return f": is {PREFIX}{near[0]} meant?" if near else ""
