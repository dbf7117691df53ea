"""Close codes: which may be sent, how each side's code looks to the other, and error events.

Sources: RFC 6455 section 7.4 (codes), section 5.5 (a close body is at most 125 bytes, so a reason at most 123).
"""

import secrets
from typing import Final

import msgspec

from voxgate_core import ERRORS, VoxgateError

__all__ = [
    "ABNORMAL",
    "FAILED",
    "MAX_REASON",
    "REASONS",
    "client_code",
    "error_event",
    "fit_reason",
    "may_be_received",
    "upstream_code",
]

MAX_REASON: Final = 123
"""Bytes of UTF-8 a close reason may have."""

NORMAL: Final = 1000
NO_STATUS: Final = 1005
ABNORMAL: Final = 1006
"""What a peer sees of a connection that ends without a close frame."""

FAILED: Final = 1011

_FROM_UPSTREAM: Final = {
    1000: 1000,
    1001: 1001,  # the model server ended the session at its time limit
    1007: 1007,
    1008: 1008,
    1009: 1009,
    1012: 1012,
    1013: 1013,
}
"""Codes of the model server that mean the same to the client. Any other says only that it failed."""

_FROM_CLIENT: Final = {1000: 1000, 1001: 1001, 1005: 1000, 1006: 1001}
"""Codes of the client that the model server should see. Any other is nobody's business but ours."""

REASONS: Final = {1000: "the session ended", 1001: "the session reached its time limit"}


def may_be_received(code: int) -> bool:
    """Whether a close frame may hold ``code`` at all (RFC 6455 section 7.4)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def client_code(code: int) -> int:
    """The code the client sees when the upstream closed with ``code``.

    3000 to 3999 are registered with IANA and pass. 4000 to 4999 are private to each server: passed on they would
    read as voxgate's own, so they become 1011, as do codes that must not be sent (1005, 1006, 1015).
    """
    if 3000 <= code <= 3999:
        return code
    return _FROM_UPSTREAM.get(code, FAILED)


def upstream_code(code: int) -> int:
    """The code the upstream sees when the client closed with ``code`` (1005 and 1006 included)."""
    return _FROM_CLIENT.get(code, NORMAL)


def fit_reason(reason: str) -> bytes:
    """``reason`` as UTF-8, cut at a character boundary to :data:`MAX_REASON` bytes."""
    encoded = reason.encode("utf-8", "replace")
    if len(encoded) <= MAX_REASON:
        return encoded
    return encoded[:MAX_REASON].decode("utf-8", "ignore").encode()


def error_event(error: VoxgateError) -> bytes:
    """The OpenAI-shaped ``error`` event that goes out before the close frame."""
    kind = ERRORS[error.code]
    family = "server_error" if kind.status >= 500 else "invalid_request_error"
    if kind.close_code in (4001, 4003):
        family = "authentication_error"
    body = {"type": family, "code": error.code, "message": error.message, "param": None, "event_id": None}
    return msgspec.json.encode({"type": "error", "event_id": f"event_{secrets.token_hex(10)}", "error": body})
