"""Durations and sizes as people write them: ``30d``, ``2GiB``."""

import re
from typing import Final

__all__ = ["duration", "size", "size_text"]

_DURATION: Final = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_SECONDS: Final[dict[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

_SIZE: Final = re.compile(r"([0-9]{1,15})(B|[KMGT]i?B)", re.ASCII)
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_BYTES: Final[dict[str, int]] = {
    **{unit: 1024**power for power, unit in enumerate(_BINARY)},
    **{unit: 1000**power for power, unit in enumerate(("B", "KB", "MB", "GB", "TB"))},
}


def duration(text: str) -> int:
    """Seconds of a whole number with ``s``, ``m``, ``h``, ``d`` or ``w``. Raises ``ValueError`` for anything else."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("a whole number with s, m, h, d or w, such as 30d")
    return int(found[1]) * _SECONDS[found[2]]


def size(text: str) -> int:
    """Bytes of a whole number with ``B``, ``KiB`` to ``TiB`` (1024) or ``KB`` to ``TB`` (1000).

    Raises ``ValueError`` for anything else.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("a whole number with B, KiB, MiB, GiB or TiB, such as 2GiB")
    return int(found[1]) * _BYTES[found[2]]


def size_text(count: int) -> str:
    """A count of bytes for people, in powers of 1024."""
    amount, unit = float(count), 0
    while amount >= 1024 and unit < len(_BINARY) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{amount:.1f} {_BINARY[unit]}"
