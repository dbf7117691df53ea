"""Readers: end users and backends see their own, operators everybody's, strangers nothing."""

import pytest

from voxgate_core import Environment, VoxgateError
from voxgate_gateway.store.readers import Reader, ReaderGate, Readers
from voxgate_security import ApiKeyAuthenticator, ApiKeys, Authenticators, MissingOrigin, OriginPolicy, Role, new_key
from voxgate_security.authenticators import Caller

ORIGIN = b"https://app.example"


class Users:
    """An ``Authenticator`` of end users: the credential is the name."""

    async def authenticate(self, credential: str) -> Caller | None:
        return Caller(credential, Role.USER, "oidc", credential) if credential.startswith("user-") else None


def gate() -> tuple[Readers, str, str]:
    operator, stored_operator = new_key("ops", "operator")
    backend, stored_backend = new_key("shop", "issuer")
    keys = ApiKeys.parse(f"{stored_operator},{stored_backend}")
    origins = OriginPolicy.parse(Environment.PROD, [ORIGIN.decode()], missing=MissingOrigin.ALLOW_WITH_BEARER)
    return ReaderGate(origins, Authenticators([ApiKeyAuthenticator(keys), Users()])), operator, backend


def headers(credential: str | None, origin: bytes | None = None) -> list[tuple[bytes, bytes]]:
    found = [] if credential is None else [(b"authorization", f"Bearer {credential}".encode())]
    return found if origin is None else [*found, (b"origin", origin)]


async def test_roles_decide_whose_conversations_are_seen() -> None:
    readers, operator, backend = gate()
    assert await readers.admit(headers(operator)) == Reader("key:ops", True)
    assert await readers.admit(headers(backend)) == Reader("key:shop", False)
    assert await readers.admit(headers("user-7", ORIGIN)) == Reader("user-7", False)


@pytest.mark.parametrize(
    ("credential", "origin", "code"),
    [
        (None, None, "credential_missing"),
        ("vk_wrong", None, "credential_invalid"),
        ("user-7", b"https://evil.example", "origin_refused"),
        (None, b"https://evil.example", "origin_refused"),
    ],
)
async def test_strangers_are_refused_by_origin_first(credential: str | None, origin: bytes | None, code: str) -> None:
    readers, _, _ = gate()
    with pytest.raises(VoxgateError) as refused:
        await readers.admit(headers(credential, origin))
    assert refused.value.code == code
