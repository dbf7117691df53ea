"""Who calls the token endpoint: authenticators tried in order on one ``Authorization`` header.

Source: RFC 6750 sections 2.1 (the header), 3 and 3.1 (``WWW-Authenticate`` and its error codes).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from voxgate_core import VoxgateError
from voxgate_security.apikeys import KEY_PREFIX, ApiKeys, Role, shown

__all__ = [
    "KEY_SUBJECT",
    "MAX_CREDENTIAL",
    "ApiKeyAuthenticator",
    "Authenticator",
    "Authenticators",
    "Caller",
    "invalid_credential",
]

MAX_CREDENTIAL: Final = 16_384
"""Bytes of an ``Authorization`` header worth reading."""

KEY_SUBJECT: Final = "key:"
"""What the subject of an API key begins with, and that of no end user: a provider may call its users as it likes."""

CHALLENGE: Final = 'Bearer realm="voxgate"'


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. ``kind`` is ``api_key`` or ``oidc``; ``label`` is what logs may show."""

    subject: str
    role: Role
    kind: str
    label: str


class Authenticator(Protocol):
    """One way to tell who calls."""

    async def authenticate(self, credential: str) -> Caller | None:
        """Who sent ``credential``; ``None`` when it is not of this kind.

        Raises :class:`VoxgateError` ``credential_invalid`` when it is of this kind and wrong, ``unavailable`` when
        that can't be found out.
        """
        ...


class ApiKeyAuthenticator:
    """Recognises keys that begin with ``vk_``."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def authenticate(self, credential: str) -> Caller | None:
        if not credential.startswith(KEY_PREFIX):
            return None
        key = self._keys.authenticate(credential)
        if key is None:
            raise invalid_credential()
        return Caller(
            subject=f"{KEY_SUBJECT}{key.name}", role=key.role, kind="api_key", label=f"{key.name} {shown(credential)}"
        )


class Authenticators:
    """The authenticators of a deployment, in the order they are tried."""

    def __init__(self, authenticators: Iterable[Authenticator]) -> None:
        self._authenticators = tuple(authenticators)

    async def authenticate(self, authorization: Sequence[bytes]) -> Caller:
        """Who calls. ``authorization`` holds the values of every ``Authorization`` header line.

        Raises :class:`VoxgateError` ``credential_missing`` or ``credential_invalid``, each with a
        ``WWW-Authenticate`` challenge, or ``unavailable``.
        """
        credential = _bearer(authorization)
        for authenticator in self._authenticators:
            caller = await authenticator.authenticate(credential)
            if caller is not None:
                return caller
        raise invalid_credential()


def invalid_credential() -> VoxgateError:
    """The refusal of a credential that is there and wrong; it does not say in what."""
    return VoxgateError("credential_invalid", headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'})


def _bearer(authorization: Sequence[bytes]) -> str:
    if not authorization:
        raise VoxgateError("credential_missing", headers={"WWW-Authenticate": CHALLENGE})
    if len(authorization) > 1 or len(authorization[0]) > MAX_CREDENTIAL:
        raise invalid_credential()
    scheme, _, credential = authorization[0].strip().partition(b" ")
    if scheme.lower() != b"bearer":
        # RFC 6750 section 3.1: a request that authenticates some other way is told the scheme, not an error.
        raise VoxgateError("credential_missing", headers={"WWW-Authenticate": CHALLENGE})
    try:
        text = credential.strip().decode("ascii")
    except UnicodeDecodeError:
        raise invalid_credential() from None
    if not text:
        raise VoxgateError("credential_missing", headers={"WWW-Authenticate": CHALLENGE})
    return text
