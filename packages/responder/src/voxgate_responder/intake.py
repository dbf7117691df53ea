"""What must hold before a request reaches the application: readable bytes, and a body that may fit."""

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from voxgate_core import VoxgateError

__all__ = ["announces_body", "check_request"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_LENGTH_DIGITS = 19


def check_request(
    path: str, raw_path: bytes | None, query: bytes, headers: Iterable[tuple[bytes, bytes]], body_limit: int
) -> None:
    """Judge a request's target and announced length; ``body_limit`` is bytes.

    Raises :class:`VoxgateError` ``bad_request`` for a path or query that is not UTF-8 behind its percent
    encoding, a path with control characters, or an unreadable ``Content-Length``; ``body_too_large`` for a
    length past the limit.
    """
    if _CONTROL.search(path) or (raw_path and not _is_utf8(raw_path)):
        raise VoxgateError("bad_request", "The path holds bytes that are not text")
    if query and not (query.isascii() and _is_utf8(query)):
        raise VoxgateError("bad_request", "The query holds bytes that are not text")
    for name, value in headers:
        if name == b"content-length":
            _check_length(value, body_limit)


def announces_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the request's headers say that a body follows (RFC 9112 section 6)."""
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0"):
            return True
    return False


def _check_length(value: bytes, body_limit: int) -> None:
    digits = value.strip()
    # bytes.isdigit knows ASCII digits only; a sign, which int() would take, is refused.
    if not digits.isdigit():
        raise VoxgateError("bad_request", "Content-Length is not a number")
    if len(digits) > MAX_LENGTH_DIGITS or int(digits) > body_limit:
        raise VoxgateError("body_too_large", details={"limit": body_limit})


def _is_utf8(encoded: bytes) -> bool:
    if b"%" not in encoded:
        return True
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        return False
    return True
