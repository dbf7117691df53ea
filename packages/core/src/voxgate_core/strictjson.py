"""JSON read without mercy: what two parsers could understand differently is refused.

Sources: RFC 8259 section 4 (names should be unique), section 8.2 (unpaired surrogates are unpredictable);
RFC 8725 section 2.4 and 3.10 (do not trust received claims, validate the encoding).
"""

import json
import math
from typing import Final, NoReturn

from voxgate_core.errors import VoxgateError

__all__ = ["MAX_JSON_NESTING", "StrictJsonError", "decode_strictly", "read_json"]

MAX_JSON_NESTING: Final = 32
"""Levels of arrays and objects, the outermost one included."""


class StrictJsonError(ValueError):
    """Why a document was refused, in one word: ``reason`` never quotes the document."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def decode_strictly(data: bytes) -> object:
    """One JSON value. Numbers written with a point or an exponent are floats, all others integers.

    Raises :class:`StrictJsonError` with ``reason`` ``utf8``, ``syntax``, ``duplicate_key``, ``constant`` (NaN,
    Infinity, or a number too large for a double), ``surrogate`` or ``nesting``.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise StrictJsonError("utf8") from None
    try:
        value: object = _DECODER.decode(text)
    except StrictJsonError:
        raise
    except RecursionError:
        raise StrictJsonError("nesting") from None
    except ValueError:
        raise StrictJsonError("syntax") from None
    # Neither can be exceeded without these bytes, so a usual document pays for two searches only.
    if data.count(b"{") + data.count(b"[") > MAX_JSON_NESTING and _depth_exceeds(value, MAX_JSON_NESTING):
        raise StrictJsonError("nesting")
    if b"\\u" in data and not _is_encodable(value):
        raise StrictJsonError("surrogate")
    return value


def read_json(body: bytes) -> object:
    """The JSON value of a request's body.

    Raises :class:`VoxgateError` ``malformed_json``, whose details give the ``reason`` of :func:`decode_strictly`.
    """
    try:
        return decode_strictly(body)
    except StrictJsonError as error:
        raise VoxgateError("malformed_json", details={"reason": error.reason}) from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJsonError("duplicate_key")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise StrictJsonError("constant")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise StrictJsonError("constant")
    return number


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)


def _depth_exceeds(value: object, bound: int) -> bool:
    level = [value]
    for _ in range(bound + 1):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
            else:
                continue
            inner.append(None)  # an empty container is a level too
        if not inner:
            return False
        level = inner
    return True


def _is_encodable(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
