"""Reads session tokens from outside: no secret, no library of the gateway's. Pure.

A token is a JWT (RFC 7519): three base64url parts joined by dots, perhaps behind the prefix ``ek_``.
"""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from voxgate_gates.envelope import parse_json

__all__ = ["EPHEMERAL_PREFIX", "Token", "claims_of", "epoch_seconds", "tampered"]

EPHEMERAL_PREFIX: Final = "ek_"

_MILLISECONDS_FROM: Final = 100_000_000_000
"""A number of seconds above this lies in the year 5138: such a reading is milliseconds."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was issued. ``expires_at`` is seconds since the epoch, ``expires_in`` seconds from issue."""

    value: str = field(repr=False)
    expires_at: float
    expires_in: float


def claims_of(token: str) -> Mapping[str, object]:
    """The claims inside, unverified. Raises ``ValueError`` when the text is no JWT."""
    parts = token.removeprefix(EPHEMERAL_PREFIX).split(".")
    if len(parts) != 3:
        raise ValueError("the token does not have three parts")
    payload = parts[1]
    claims = parse_json(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if not isinstance(claims, dict):
        raise ValueError("the token's payload is not an object")
    return claims


def tampered(token: str) -> str:
    """The same token with one character in the middle of its signature changed."""
    head, dot, signature = token.rpartition(".")
    # Not the last character: its low bits are padding, and changing them alone leaves the signature as it was.
    middle = len(signature) // 2
    changed = "A" if signature[middle : middle + 1] != "A" else "B"
    return f"{head}{dot}{signature[:middle]}{changed}{signature[middle + 1 :]}"


def epoch_seconds(value: object) -> float:
    """A moment written as seconds, milliseconds or ISO 8601. Raises ``ValueError`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{type(value).__name__} is not a moment")
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError("a moment without an offset from UTC")
            return moment.timestamp()
        return value / 1000 if value > _MILLISECONDS_FROM else float(value)
    except OverflowError as error:
        raise ValueError("a moment beyond every calendar") from error
