"""Signatures of deliveries, made and verified. Pure.

Source: the Standard Webhooks specification (https://www.standardwebhooks.com), its symmetric scheme ``v1``. What is
signed is ``<webhook-id>.<webhook-timestamp>.<body>``; while secrets rotate there is one signature for each of them.
"""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from secrets import token_bytes
from typing import Final

__all__ = [
    "MAX_SIGNATURES",
    "TOLERANCE",
    "SignatureError",
    "new_secret",
    "secret_key",
    "signed_headers",
    "verify",
]

MIN_KEY: Final = 24
"""Bytes of a key, the fewest that the specification allows; a shorter one is refused."""

MAX_KEY: Final = 64
"""Bytes of a key, the most that the specification allows; a longer one is refused."""

NEW_KEY: Final = 32
"""Bytes of a key made here: as many as the hash has."""

TOLERANCE: Final = 300.0
"""Seconds that a timestamp may lie before or after the receiver's clock; what is older may be a replay."""

MAX_SIGNATURES: Final = 16
"""Signatures that one request may carry; a request with more is refused rather than compared with each."""

PREFIX: Final = "whsec_"
VERSION: Final = "v1"

_is_id = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_is_timestamp = re.compile(r"[0-9]{1,12}").fullmatch


class SignatureError(ValueError):
    """Why a request is not believed. ``reason`` is for logs: it quotes nothing of the request."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def new_secret() -> str:
    """A secret nobody can guess, as both sides store it: ``whsec_`` and base64."""
    return PREFIX + b64encode(token_bytes(NEW_KEY)).decode()


def secret_key(text: str) -> bytes:
    """The key inside a secret. Raises ``ValueError``, which does not repeat it, for a text that is none."""
    digits = text.removeprefix(PREFIX).rstrip("=")  # some issuers leave the padding out
    try:
        key = b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(PREFIX) or not MIN_KEY <= len(key) <= MAX_KEY:
        raise ValueError(f"a secret is {PREFIX} and base64 of {MIN_KEY} to {MAX_KEY} bytes")
    return key


def signed_headers(event_id: str, body: bytes, keys: Sequence[bytes], now: float) -> dict[str, str]:
    """The three headers of one delivery attempt. ``keys`` are those of :func:`secret_key`, the newest first.

    ``now`` is epoch seconds of this attempt: a retry keeps the id and is signed anew. Raises ``ValueError`` without
    keys, and for an id with other characters than letters, digits, ``-`` and ``_``.
    """
    if not keys:
        raise ValueError("a delivery is signed with one key at least")
    if _is_id(event_id) is None:
        raise ValueError("an event's id is letters, digits, - and _")
    timestamp = str(int(now))
    content = b"%b.%b.%b" % (event_id.encode(), timestamp.encode(), body)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join([_sign(key, content) for key in keys]),
    }


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Iterable[str], now: float, tolerance: float = TOLERANCE
) -> str:
    """The ``webhook-id`` of a request that was signed with one of ``secrets``: what a receiver drops repeats by.

    Header names count in any case. Every signature is compared with every secret, in constant time. Raises
    :class:`SignatureError`, and ``ValueError`` without secrets or when one is malformed.
    """
    keys = [secret_key(secret) for secret in secrets]
    if not keys:
        raise ValueError("a signature is verified with one secret at least")
    event_id = _header(headers, "webhook-id")
    if "." in event_id:  # it could be moved into the timestamp, and the signature would still hold
        raise SignatureError("webhook-id has a full stop")
    timestamp = _header(headers, "webhook-timestamp")
    signatures = _header(headers, "webhook-signature").split(" ")
    if _is_timestamp(timestamp) is None:
        raise SignatureError("the timestamp is not whole seconds")
    if len(signatures) > MAX_SIGNATURES:
        raise SignatureError("there are too many signatures")
    if int(timestamp) < now - tolerance:
        raise SignatureError("the timestamp is too old")
    if int(timestamp) > now + tolerance:
        raise SignatureError("the timestamp is too new")
    content = b"%b.%b.%b" % (event_id.encode(errors="surrogatepass"), timestamp.encode(), body)
    given = [signature.encode(errors="surrogatepass") for signature in signatures]
    expected = [_sign(key, content).encode() for key in keys]
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]  # all of them, matched or not
    if not any(matches):
        raise SignatureError("no signature matches")
    return event_id


def _sign(key: bytes, content: bytes) -> str:
    return f"{VERSION},{b64encode(hmac.digest(key, content, 'sha256')).decode()}"


def _header(headers: Mapping[str, str], name: str) -> str:
    values = [value for given, value in headers.items() if given.lower() == name]
    if len(values) != 1 or not values[0]:
        raise SignatureError(f"{name} is absent or repeated")
    return values[0]
