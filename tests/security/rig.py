"""What the tests of tokens share: fixed keys, a clock that stands still, a store to meddle with, a maker of tokens."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from voxgate_core import Clock, Entry, Environment, ManualClock, MemoryKeyValue
from voxgate_security import KeyRing, Revocations, TokenIssuer, Verifier

NOW = 1_790_000_000
ORIGIN = "https://app.example.com"
TTL = 300
SECRET = "correct-horse-battery-staple-and-thirty-two-bytes"
RETIRED_SECRET = "this-key-was-retired-and-nobody-knows-when-it-was"
REPLACED_SECRET = "this-key-was-replaced-at-a-moment-that-is-written"
ED = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"tests").digest())
ED_PEM = ED.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
ED_PUBLIC_PEM = ED.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ED_PUBLIC_RAW = ED.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
RETIRED_AT = NOW - 100
RING_TEXT = ",".join(
    (
        f"main:{SECRET}",
        "ed:" + ED_PEM.strip().replace("\n", "\\n"),
        f"gone=retired:{RETIRED_SECRET}",
        f"replaced=retired@{RETIRED_AT}:{REPLACED_SECRET}",
    )
)

HEADER: dict[str, object] = {"alg": "HS256", "kid": "main", "typ": "vg-rt+jwt"}
CLAIMS: dict[str, object] = {
    "iss": "voxgate",
    "aud": "voxgate-realtime",
    "sub": "alice",
    "sid": "sess_0123456789",
    "jti": "token-0123456789",
    "iat": NOW - 10,
    "nbf": NOW - 10,
    "exp": NOW + 200,
    "origin": ORIGIN,
    "scope": "realtime",
}


class World:
    """A verifier and an issuer over one store, at one moment, in prod."""

    def __init__(self, environment: Environment = Environment.PROD, ring: str = RING_TEXT) -> None:
        self.clock = ManualClock(NOW)
        self.store = MemoryKeyValue(self.clock)
        self.ring = KeyRing.parse(ring)
        self.revocations = Revocations(self.store, self.clock)
        self.issuer = TokenIssuer(self.ring, self.clock, environment)
        self.verifier = Verifier(self.ring, self.clock, environment, self.store, self.revocations)


class MeddledKeyValue(MemoryKeyValue):
    """A store that is far away: ``meddle`` runs before every call, and may fail, wait, or do what others do meanwhile.

    It is given the name of the method and the key.
    """

    def __init__(self, clock: Clock, meddle: Callable[[str, str], Awaitable[None]], *, max_entries: int = 1000) -> None:
        super().__init__(clock, max_entries=max_entries)
        self.meddle = meddle

    async def get(self, key: str) -> Entry | None:
        await self.meddle("get", key)
        return await super().get(key)

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> int:
        await self.meddle("put", key)
        return await super().put(key, value, ttl=ttl)

    async def put_if_absent(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        await self.meddle("put_if_absent", key)
        return await super().put_if_absent(key, value, ttl=ttl)

    async def compare_and_set(self, key: str, value: bytes, *, revision: int, ttl: float | None = None) -> bool:
        await self.meddle("compare_and_set", key)
        return await super().compare_and_set(key, value, revision=revision, ttl=ttl)


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def hs256(secret: bytes | str, signing_input: str, digest: str = "sha256") -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, signing_input.encode(), digest).digest()


def sign_raw(header: bytes, payload: bytes, secret: bytes | str = SECRET) -> str:
    """A token of exactly these bytes, correctly signed with HS256."""
    signing_input = f"{b64(header)}.{b64(payload)}"
    return f"{signing_input}.{b64(hs256(secret, signing_input))}"


def sign(
    header: Mapping[str, object] = HEADER, claims: Mapping[str, Any] = CLAIMS, secret: bytes | str = SECRET
) -> str:
    """A token with this header and these claims, correctly signed with HS256 whatever ``alg`` says."""
    return sign_raw(dump(dict(header)), dump(dict(claims)), secret)


def without(mapping: Mapping[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in mapping.items() if key != name}


def doubled(mapping: Mapping[str, object], name: str, second: object) -> bytes:
    """The object as JSON with ``name`` in it twice."""
    return dump(dict(mapping))[:-1] + b"," + dump(name) + b":" + dump(second) + b"}"
