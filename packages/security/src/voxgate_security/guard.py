"""Reads a session token before any JWT library does, and refuses what a lenient reader would let pass.

PyJWT verifies signatures and says no to much, but it takes padded base64, duplicate keys (the last one wins), any
``typ``, a life of ten years, unpaired surrogates and megabytes. Here nothing has two readings: one base64url form,
one header, one set of claims, one type for each. A token that passes is still unverified.

Sources: RFC 7515 section 2 (base64url without padding), RFC 8725 (JWT best current practices) sections 3.1 to 3.11,
RFC 6749 section 3.3 and RFC 8693 section 4.2 (scope).
"""

import binascii
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeGuard

from voxgate_core import Grant, Leash, StrictJsonError, VoxgateError, decode_strictly
from voxgate_security.origins import MAX_ORIGIN_LENGTH

__all__ = [
    "ALGORITHMS",
    "CLAIMS",
    "MAX_SUBJECT",
    "MAX_TOKEN",
    "PREFIX",
    "TOKEN_TYPE",
    "GuardedToken",
    "inspect",
    "is_identifier",
    "is_scope",
    "is_subject",
    "leash_to_claim",
]

PREFIX: Final = "ek_"
"""What OpenAI clients expect an ephemeral key to begin with; not part of the JWT."""

TOKEN_TYPE: Final = "vg-rt+jwt"
"""The only ``typ``: no other JWT of the same issuer can be taken for one of ours (RFC 8725 section 3.11)."""

MAX_TOKEN: Final = 8192
"""Characters, the prefix included."""

MAX_SUBJECT: Final = 256
"""Characters of ``sub``."""

MAX_IDENTIFIER: Final = 64
"""Characters of ``kid``, ``jti`` and ``sid``."""

MAX_NAME: Final = 256
"""Characters of ``iss`` and ``aud``."""

MAX_SCOPES: Final = 32
MAX_SCOPE: Final = 64
MAX_TIME: Final = 253_402_300_799
"""The last second of the year 9999, in seconds since the epoch."""

MAX_COUNT: Final = 2**53 - 1
"""The largest whole number that every JSON reader holds exactly (RFC 8259 section 6)."""

ALGORITHMS: Final = {"HS256": 32, "EdDSA": 64}
"""The algorithms there are, each with the bytes of its signature."""

CLAIMS: Final = frozenset({"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "origin", "scope"})
"""The claims every token has. ``leash`` may join them, and nothing else: an unknown claim could be a limit."""

MAX_HEADERS: Final = 64
"""Distinct headers remembered."""

_HEADER: Final = frozenset({"alg", "kid", "typ"})
_CLAIMS_WITH_LEASH: Final = CLAIMS | {"leash"}
_LEASH: Final = frozenset({"seconds", "tokens", "spend", "session"})
_IDENTIFIER: Final = frozenset(string.ascii_letters + string.digits + "-_.")
_SCOPE: Final = frozenset(string.ascii_letters + string.digits + "-_.:/")


@dataclass(frozen=True, slots=True)
class GuardedToken:
    """A token in its one possible reading, not verified yet. ``signing_input`` is what ``signature`` must be of.

    ``grant`` holds its claims as they would be granted; times are whole seconds since the epoch.
    """

    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    algorithm: str
    key_id: str
    issuer: str
    audience: str
    not_before: int
    grant: Grant = field(repr=False)


def inspect(token: str) -> GuardedToken:
    """Read ``token`` strictly.

    Raises :class:`VoxgateError` ``credential_invalid``; its ``details["reason"]`` says which rule, in one of these
    words, and never quotes the token: ``length``, ``segments``, ``encoding``, ``header``, ``algorithm``, ``type``,
    ``key_id``, ``signature``, ``claims``, a claim's name, or a reason of :class:`voxgate_core.StrictJsonError`.
    """
    if not 0 < len(token) <= MAX_TOKEN:
        raise _refused("length")
    bare = token.removeprefix(PREFIX)
    segments = bare.split(".")
    if len(segments) != 3 or not bare.isascii():
        raise _refused("segments")
    algorithm, key_id = _read_header(segments[0])
    signature = _bytes(segments[2])
    if len(signature) != ALGORITHMS[algorithm]:
        raise _refused("signature")
    claims = _object(segments[1], "claims")
    if claims.keys() != CLAIMS and claims.keys() != _CLAIMS_WITH_LEASH:
        raise _refused("claims")
    return GuardedToken(
        signing_input=bare.rpartition(".")[0].encode("ascii"),
        signature=signature,
        algorithm=algorithm,
        key_id=key_id,
        issuer=_name(claims, "iss"),
        audience=_name(claims, "aud"),
        not_before=_time(claims, "nbf"),
        grant=Grant(
            subject=_checked(claims, "sub", is_subject),
            session_id=_checked(claims, "sid", is_identifier),
            token_id=_checked(claims, "jti", is_identifier),
            origin=_origin(claims),
            scope=_scopes(claims),
            issued_at=_time(claims, "iat"),
            expires_at=_time(claims, "exp"),
            leash=_leash(claims["leash"]) if "leash" in claims else Leash(),
        ),
    )


def is_identifier(value: object) -> bool:
    """Whether ``value`` can be a ``kid``, ``jti`` or ``sid``: 1 to 64 of ``A-Z a-z 0-9 - _ .``"""
    return isinstance(value, str) and 0 < len(value) <= MAX_IDENTIFIER and _IDENTIFIER.issuperset(value)


def is_subject(value: object) -> bool:
    """Whether ``value`` can be a ``sub``: 1 to 256 printable characters, no space at either end."""
    return isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT and value.isprintable() and value == value.strip()


def is_scope(value: object) -> bool:
    """Whether ``value`` can be one word of ``scope``: 1 to 64 of ``A-Z a-z 0-9 - _ . : /``"""
    return isinstance(value, str) and 0 < len(value) <= MAX_SCOPE and _SCOPE.issuperset(value)


def leash_to_claim(leash: Leash) -> dict[str, object]:
    """The ``leash`` claim: only what is set, an empty object for a leash that limits nothing."""
    claim: dict[str, object] = {
        name: value
        for name, value in (("seconds", leash.seconds), ("tokens", leash.tokens), ("spend", leash.spend))
        if value is not None
    }
    if leash.session:
        claim["session"] = dict(leash.session)
    return claim


@lru_cache(maxsize=MAX_HEADERS)
def _read_header(segment: str) -> tuple[str, str]:
    """The algorithm and the ``kid``. All tokens of one key begin alike, so good headers are remembered."""
    header = _object(segment, "header")
    if header.keys() != _HEADER:
        raise _refused("header")
    algorithm, key_id, kind = header["alg"], header["kid"], header["typ"]
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _refused("algorithm")
    if kind != TOKEN_TYPE:
        raise _refused("type")
    if not isinstance(key_id, str) or not is_identifier(key_id):
        raise _refused("key_id")
    return algorithm, key_id


def _refused(reason: str) -> VoxgateError:
    return VoxgateError("credential_invalid", details={"reason": reason})


def _bytes(segment: str) -> bytes:
    encoded = segment.encode("ascii")
    try:
        raw = urlsafe_b64decode(encoded + b"==")
    except binascii.Error:
        raise _refused("encoding") from None
    # The decoder skips what it does not know; only the canonical form comes back unchanged.
    if not raw or urlsafe_b64encode(raw).rstrip(b"=") != encoded:
        raise _refused("encoding")
    return raw


def _object(segment: str, reason: str) -> dict[str, object]:
    try:
        value = decode_strictly(_bytes(segment))
    except StrictJsonError as error:
        raise _refused(error.reason) from None
    if not isinstance(value, dict):
        raise _refused(reason)
    return value


def _name(claims: dict[str, object], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise _refused(name)
    return value


def _checked(claims: dict[str, object], name: str, rule: Callable[[object], bool]) -> str:
    value = claims[name]
    if not rule(value):
        raise _refused(name)
    return str(value)


def _time(claims: dict[str, object], name: str) -> int:
    value = claims[name]
    if not _is_whole(value) or not 0 < value <= MAX_TIME:
        raise _refused(name)
    return value


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _origin(claims: dict[str, object]) -> str | None:
    value = claims["origin"]
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ORIGIN_LENGTH or not value.isascii():
        raise _refused("origin")
    return value


def _scopes(claims: dict[str, object]) -> frozenset[str]:
    value = claims["scope"]
    words = value.split(" ") if isinstance(value, str) else []
    scopes = frozenset(words)
    if not 0 < len(words) <= MAX_SCOPES or len(scopes) != len(words) or not all(map(is_scope, words)):
        raise _refused("scope")
    return scopes


def _leash(claim: object) -> Leash:
    if not isinstance(claim, dict) or not claim.keys() <= _LEASH:
        raise _refused("leash")
    spend, session = claim.get("spend"), claim.get("session", {})
    if spend is not None and not (_is_whole(spend) or isinstance(spend, float)):
        raise _refused("leash")
    if spend is not None and not 0 <= spend <= MAX_COUNT:
        raise _refused("leash")
    if not isinstance(session, dict) or None in claim.values():
        raise _refused("leash")
    return Leash(seconds=_count(claim, "seconds"), tokens=_count(claim, "tokens"), spend=spend, session=session)


def _count(claim: dict[str, object], name: str) -> int | None:
    value = claim.get(name)
    if value is None:
        return None
    if not _is_whole(value) or not 0 < value <= MAX_COUNT:
        raise _refused("leash")
    return value
