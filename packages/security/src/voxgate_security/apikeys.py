"""Long-lived keys of backends and operators: made once, kept as a hash, compared in constant time.

A stored key is ``name:role:sha256hex``. Keys hold 256 random bits, so one round of SHA-256 is enough: there is
nothing to guess that a slow hash would protect.
"""

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from voxgate_core import ConfigurationError

__all__ = ["KEY_PREFIX", "ApiKey", "ApiKeys", "Role", "new_key"]

KEY_PREFIX: Final = "vk_"
KEY_BYTES: Final = 32
SHOWN_PREFIX: Final = 8
"""Characters of a key that logs show, its ``vk_`` included: enough to tell keys apart, nothing to start from."""

MAX_NAME: Final = 64
DIGEST_HEX: Final = 64
SETTING: Final = "VOXGATE_API_KEYS"
_NAME: Final = frozenset(string.ascii_letters + string.digits + "-_.")
_HEX: Final = frozenset("0123456789abcdef")


class Role(StrEnum):
    """What a caller may do."""

    USER = "user"  # get tokens for itself
    ISSUER = "issuer"  # get tokens for anybody
    OPERATOR = "operator"  # that, and revoke

    @property
    def issues_for_others(self) -> bool:
        return self is not Role.USER

    @property
    def operates(self) -> bool:
        return self is Role.OPERATOR


KEY_ROLES: Final = (Role.ISSUER, Role.OPERATOR)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One stored key; the key itself can't be had from it."""

    name: str
    role: Role
    digest: bytes = field(repr=False)


def new_key(name: str, role: Role | str) -> tuple[str, str]:
    """A fresh key: the key itself, to be shown once, and its stored form.

    Raises :class:`ConfigurationError` for a name or role that no key can have.
    """
    plain = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    stored = f"{name}:{role}:{_digest(plain).hex()}"
    _parse_entries([stored])
    return plain, stored


class ApiKeys:
    """The stored keys of a deployment."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"ApiKeys({', '.join(f'{key.name}:{key.role}' for key in self._keys)})"

    @classmethod
    def parse(cls, text: str) -> "ApiKeys":
        """Read a comma list of stored keys; an empty one holds none.

        Raises :class:`ConfigurationError` with every fault; no fault repeats a hash.
        """
        return cls(_parse_entries([entry for entry in (part.strip() for part in text.split(",")) if entry]))

    def authenticate(self, plain: str) -> ApiKey | None:
        """The stored key that ``plain`` is, or ``None``. Takes as long whichever it is, and when it is none."""
        digest = _digest(plain)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def shown(plain: str) -> str:
    """What a log may show of a key."""
    return f"{plain[:SHOWN_PREFIX]}…"


def _digest(plain: str) -> bytes:
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()


def _parse_entries(entries: list[str]) -> list[ApiKey]:
    faults: list[str] = []
    keys: list[ApiKey] = []
    for position, entry in enumerate(entries, 1):
        name, _, rest = entry.partition(":")
        role, _, digest = rest.partition(":")
        if not 0 < len(name) <= MAX_NAME or not _NAME.issuperset(name):
            faults.append(f"{SETTING}: key {position} has no name of letters, digits, '-', '_' or '.'")
        elif role not in KEY_ROLES:
            faults.append(f"{SETTING}: the key {name!r} has a role that is not issuer or operator")
        elif len(digest) != DIGEST_HEX or not _HEX.issuperset(digest):
            faults.append(f"{SETTING}: the key {name!r} has no SHA-256 in lower-case hex; was the key itself pasted?")
        else:
            keys.append(ApiKey(name, Role(role), bytes.fromhex(digest)))
    names = [key.name for key in keys]
    digests = [key.digest for key in keys]
    faults += [f"{SETTING}: the name {name!r} is used twice" for name in sorted(set(names)) if names.count(name) > 1]
    if len(set(digests)) != len(digests):
        faults.append(f"{SETTING}: one key is listed twice")
    if faults:
        raise ConfigurationError(faults)
    return keys
