"""What a target said, made fit for a terminal and a file. Pure.

A target may answer escape sequences that recolour or rename the terminal they are shown on, marks that turn the reading
order around, and halves of characters that no file can hold. Each becomes what one writes for it.
"""

import re
from typing import Final

__all__ = ["visible"]

_UNFIT: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 controls, but for tab and newline
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # line separators and marks of direction (UAX 9)
    "\ud800-\udfff\ufeff]"
)


def visible(text: str) -> str:
    """The text with each character that can't be shown as it is written out, as ``\\u202e``."""
    return _UNFIT.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
