"""Tokens of the fake gateway: HS256 JWTs made and read with the standard library alone."""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

__all__ = ["sign", "verify"]


def sign(secret: str, *, subject: str, origin: str | None, seconds: int) -> tuple[str, dict[str, object]]:
    now = int(time.time())
    claims: dict[str, object] = {
        "sub": subject,
        "origin": origin,
        "jti": secrets.token_hex(8),
        "sid": secrets.token_hex(8),
        "iat": now,
        "exp": now + seconds,
    }
    parts = [_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = ".".join(parts)
    return f"{signed}.{_encode(_mac(secret, signed))}", claims


def verify(secret: str, token: str, *, check_signature: bool = True) -> Mapping[str, object] | None:
    """The claims, or ``None`` for anything that is not a token of ours. Expiry is the caller's to judge."""
    signed, _, signature = token.removeprefix("ek_").rpartition(".")
    if signed.count(".") != 1:
        return None
    if check_signature and not hmac.compare_digest(_encode(_mac(secret, signed)), signature):
        return None
    claims = json.loads(urlsafe_b64decode(signed.split(".")[1] + "=="))
    return claims if isinstance(claims, dict) else None


def _mac(secret: str, text: str) -> bytes:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
