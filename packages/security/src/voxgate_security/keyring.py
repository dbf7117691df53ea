"""The keys that sign and verify session tokens, and what each may still do.

Rules of rotation, in the order a key lives through them:

========  =====  ==================================================================================================
state     signs  verifies
========  =====  ==================================================================================================
next      no     yes: it is known everywhere before anybody signs with it
active    yes    yes; there is exactly one
retired   no     only what was issued up to the moment of its retirement; without such a moment, nothing
========  =====  ==================================================================================================

A ring is written as a comma list of ``kid[=state]:material`` where state is ``next``, ``active``, ``retired`` or
``retired@<epoch seconds>``. Without states the first key is active and the others are next. Material is a secret of
at least 32 bytes (HS256, RFC 7518 section 3.2), an Ed25519 key in PEM with its line ends written as ``\\n`` (EdDSA,
RFC 8037), or ``file:<path>`` of such a PEM. One bare secret without a kid is a ring of its own.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from voxgate_core import ConfigurationError
from voxgate_security.guard import MAX_TIME, is_identifier

__all__ = ["MIN_SECRET_BYTES", "KeyRing", "KeyState", "TokenKey"]

MIN_SECRET_BYTES: Final = 32
"""RFC 7518 section 3.2: a key of at least the size of the hash."""

GENERATED_BYTES: Final = 48
BARE_KID: Final = "k1"
LONGEST_LIFE: Final = 600
"""Seconds that any token may live in any environment: after this much, a retired key has nothing left to verify."""

SETTING: Final = "JWT_SECRET"
_HS256: Final = jwt.get_algorithm_by_name("HS256")


class KeyState(StrEnum):
    """Where a key stands in its life; see the rules at the top of this module."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key. ``algorithm`` is fixed by the material, never by a token. ``retired_at`` is epoch seconds."""

    kid: str
    state: KeyState
    algorithm: str
    verifying: bytes | Ed25519PublicKey = field(repr=False)
    signing: bytes | Ed25519PrivateKey | None = field(repr=False)
    source: str = field(repr=False)
    retired_at: int | None = None

    def accepts(self, issued_at: int) -> bool:
        """Whether a token that says it was issued at ``issued_at`` (epoch seconds) may rest on this key."""
        if self.state is not KeyState.RETIRED:
            return True
        return self.retired_at is not None and issued_at <= self.retired_at


class KeyRing:
    """Keys by their ``kid``, exactly one of them active. Its repr shows names and states only."""

    def __init__(self, keys: Iterable[TokenKey]) -> None:
        self._keys = {key.kid: key for key in keys}
        (self.active,) = (key for key in self if key.state is KeyState.ACTIVE)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(f'{key.kid}={key.state}' for key in self)})"

    def __iter__(self) -> Iterator[TokenKey]:
        return iter(self._keys.values())

    def get(self, kid: str) -> TokenKey | None:
        """The key of that name, whatever its state."""
        return self._keys.get(kid)

    @classmethod
    def parse(cls, text: str, *, read: Callable[[str], str] | None = None) -> "KeyRing":
        """Read a ring as the module describes it; ``read`` returns the text of a file that an entry names.

        Raises :class:`ConfigurationError` with every fault; no fault repeats any material.
        """
        faults: list[str] = []
        keys: list[TokenKey] = []
        entries = [entry for entry in (part.strip() for part in text.split(",")) if entry]
        if len(entries) == 1 and ":" not in entries[0]:
            entries = [f"{BARE_KID}:{entries[0]}"]
        for position, entry in enumerate(entries, 1):
            try:
                keys.append(_parse_entry(entry, read))
            except ValueError as fault:
                faults.append(f"{SETTING}: key {position} {fault}")
        names = [key.kid for key in keys]
        faults += [f"{SETTING}: the kid {name!r} is used twice" for name in sorted(set(names)) if names.count(name) > 1]
        active = [key for key in keys if key.state is KeyState.ACTIVE]
        if not entries:
            faults.append(f"{SETTING}: no key is set; `voxgate keys rotate` prints one")
        elif len(active) > 1:
            faults.append(f"{SETTING}: more than one key is active")
        elif not active and not faults:
            first = next((key for key in keys if key.state is KeyState.NEXT), None)
            if first is None:
                faults.append(f"{SETTING}: every key is retired, none can sign")
            else:
                active = [replace(first, state=KeyState.ACTIVE)]
                keys = [active[0] if key is first else key for key in keys]
        if active and active[0].signing is None:
            faults.append(f"{SETTING}: the active key {active[0].kid!r} is a public key, which can't sign")
        if faults:
            raise ConfigurationError(faults)
        return cls(keys)

    @classmethod
    def generate(cls) -> "KeyRing":
        """A ring of one fresh HS256 key: enough for a process that keeps its tokens to itself."""
        return cls([_fresh(KeyState.ACTIVE)])

    def prepared(self) -> "KeyRing":
        """This ring and a fresh key that is next: verified from now on, signed with after :meth:`rotated`."""
        return KeyRing([*self, _fresh(KeyState.NEXT)])

    def rotated(self, *, retire_at: int | None, now: int) -> "KeyRing":
        """The next key, or a fresh one, becomes active; the active one retires.

        What the old key signed up to ``retire_at`` (epoch seconds) is still verified; with ``None`` nothing is, as
        is right when it has leaked. Retired keys that can have no live token left at ``now`` are dropped.
        """
        promoted = next((key for key in self if key.state is KeyState.NEXT and key.signing is not None), None)
        fresh = replace(promoted or _fresh(KeyState.ACTIVE), state=KeyState.ACTIVE)
        retired = replace(self.active, state=KeyState.RETIRED, retired_at=retire_at)
        kept = [key for key in self if key is not promoted and key is not self.active and not _spent(key, now)]
        return KeyRing([fresh, retired, *kept])

    def export(self) -> str:
        """The ring as :meth:`parse` reads it, secrets and all: for the operator's eyes only."""
        return ",".join(
            f"{key.kid}={key.state}{'' if key.retired_at is None else f'@{key.retired_at}'}:{key.source}"
            for key in self
        )


def _fresh(state: KeyState) -> TokenKey:
    secret = secrets.token_urlsafe(GENERATED_BYTES)
    raw = secret.encode("ascii")
    return TokenKey(f"k{secrets.token_hex(4)}", state, "HS256", raw, raw, secret)


def _spent(key: TokenKey, now: int) -> bool:
    if key.state is not KeyState.RETIRED:
        return False
    return key.retired_at is None or key.retired_at + LONGEST_LIFE < now


def _parse_entry(entry: str, read: Callable[[str], str] | None) -> TokenKey:
    """Raises ``ValueError`` whose text completes the sentence "key N …" and holds no part of the material."""
    label, colon, source = entry.partition(":")
    kid, equals, state_text = label.partition("=")
    if not colon or not is_identifier(kid):
        raise ValueError("does not begin with a kid of letters, digits, '-', '_' or '.' and a colon")
    state, retired_at = _parse_state(state_text if equals else KeyState.NEXT.value)
    algorithm, verifying, signing = _load(source, read)
    # A key without a stated state is next here; the ring makes the first of them active when no key says it is.
    return TokenKey(kid, state, algorithm, verifying, signing, source, retired_at)


def _parse_state(text: str) -> tuple[KeyState, int | None]:
    name, at, moment = text.partition("@")
    if name not in tuple(KeyState) or (at and name != KeyState.RETIRED):
        raise ValueError("has a state that is not next, active, retired or retired@<epoch seconds>")
    if not at:
        return KeyState(name), None
    if not (moment.isascii() and moment.isdigit() and len(moment) <= len(str(MAX_TIME))):
        raise ValueError("has a moment of retirement that is not whole epoch seconds")
    return KeyState.RETIRED, int(moment)


def _load(
    source: str, read: Callable[[str], str] | None
) -> tuple[str, bytes | Ed25519PublicKey, bytes | Ed25519PrivateKey | None]:
    material = source
    if source.startswith("file:"):
        if read is None:
            raise ValueError("names a file, and files are not read here")
        try:
            material = read(source.removeprefix("file:"))
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"names a file that can't be read ({type(error).__name__})") from None
        if not material.lstrip().startswith("-----BEGIN"):
            raise ValueError("names a file that does not hold a PEM")
    if material.lstrip().startswith("-----BEGIN"):
        return "EdDSA", *_load_pem(material.strip().replace("\\n", "\n").encode())
    secret = material.encode()
    try:
        _HS256.prepare_key(secret)
    except jwt.InvalidKeyError:
        raise ValueError("has a public key for a secret, which everybody knows") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"has a secret of {len(secret)} bytes; HS256 needs at least {MIN_SECRET_BYTES}")
    return "HS256", secret, secret


def _load_pem(pem: bytes) -> tuple[Ed25519PublicKey, Ed25519PrivateKey | None]:
    try:
        if b"PRIVATE" in pem.partition(b"\n")[0]:
            private = load_pem_private_key(pem, password=None)
            if isinstance(private, Ed25519PrivateKey):
                return private.public_key(), private
        else:
            public = load_pem_public_key(pem)
            if isinstance(public, Ed25519PublicKey):
                return public, None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("holds a PEM that can't be read; an unencrypted Ed25519 key is needed") from None
    raise ValueError("holds a PEM of another kind; an Ed25519 key is needed")
