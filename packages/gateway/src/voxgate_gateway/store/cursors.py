"""Cursors of pages: where the next page goes on. A cursor is a place in an order and grants nothing.

What a caller may see is asked anew for each page, so a cursor needs no signature: one that is made up shows nothing
else than its caller could have listed.
"""

import base64
import binascii
import json
import math
from typing import Final

from voxgate_core import VoxgateError

__all__ = ["MAX_CURSOR", "Place", "read_cursor", "write_cursor"]

MAX_CURSOR: Final = 512
"""Characters of a cursor at most; a longer one is none of ours."""

MAX_ID: Final = 256
"""Characters of the id in it."""

Place = tuple[float, str]
"""A time in epoch seconds, and an id to tell apart what happened at the same time."""


def write_cursor(place: Place) -> str:
    """Letters, digits, ``-`` and ``_``."""
    text = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> Place:
    """The place in ``cursor``. Raises :class:`VoxgateError` ``invalid_input`` for anything but a cursor of ours."""
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError("too long")
        text = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        at, name = json.loads(text)
        if type(at) not in (int, float) or not math.isfinite(at) or type(name) is not str or len(name) > MAX_ID:
            raise ValueError("not a place")
        if "\0" in name or write_cursor((float(at), name)) != cursor:
            raise ValueError("not as we write it")
        return float(at), name
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError):
        raise VoxgateError("invalid_input", "the cursor is none of ours: begin again without one") from None
