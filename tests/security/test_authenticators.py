"""Authenticators are tried in order; what is missing and what is wrong are told apart."""

import pytest

from voxgate_core import VoxgateError
from voxgate_security import ApiKeyAuthenticator, ApiKeys, Authenticators, Caller, Role, new_key
from voxgate_security.authenticators import MAX_CREDENTIAL

PLAIN, STORED = new_key("backend", "issuer")
KEYS = ApiKeyAuthenticator(ApiKeys.parse(STORED))


class Recording:
    """An authenticator that knows one credential."""

    def __init__(self, known: str) -> None:
        self.known = known
        self.asked: list[str] = []

    async def authenticate(self, credential: str) -> Caller | None:
        self.asked.append(credential)
        return Caller("someone", Role.USER, "test", "test") if credential == self.known else None


async def refusal(authorization: list[bytes], *authenticators: Recording) -> VoxgateError:
    with pytest.raises(VoxgateError) as caught:
        await Authenticators([KEYS, *authenticators]).authenticate(authorization)
    return caught.value


async def test_an_api_key_is_a_caller() -> None:
    caller = await Authenticators([KEYS]).authenticate([b"Bearer " + PLAIN.encode()])
    assert caller == Caller("key:backend", Role.ISSUER, "api_key", f"backend {PLAIN[:8]}…")
    assert PLAIN not in repr(caller)


@pytest.mark.parametrize("scheme", [b"bearer ", b"BEARER ", b" Bearer  "])
async def test_the_scheme_is_read_without_regard_to_case(scheme: bytes) -> None:
    assert (await Authenticators([KEYS]).authenticate([scheme + PLAIN.encode()])).subject == "key:backend"


@pytest.mark.parametrize("header", [[], [b"Basic eDp5"], [b""], [b"Bearer"], [b"Bearer  "], [PLAIN.encode()]])
async def test_no_bearer_credential_is_missing(header: list[bytes]) -> None:
    error = await refusal(header)
    assert error.code == "credential_missing"
    assert error.headers == {"WWW-Authenticate": 'Bearer realm="voxgate"'}


@pytest.mark.parametrize(
    "header",
    [
        [b"Bearer nonsense"],
        [b"Bearer vk_wrong"],
        [b"Bearer " + PLAIN.encode() + b"x"],
        [b"Bearer " + PLAIN.encode() + b" x"],
        [b"Bearer \xff\xfe"],
        [b"Bearer " + b"x" * MAX_CREDENTIAL],
        [b"Bearer " + PLAIN.encode()] * 2,
    ],
)
async def test_a_wrong_credential_is_invalid_and_says_so(header: list[bytes]) -> None:
    error = await refusal(header)
    assert error.code == "credential_invalid"
    assert error.headers == {"WWW-Authenticate": 'Bearer realm="voxgate", error="invalid_token"'}
    assert error.details is None


async def test_the_next_one_is_asked_only_about_what_the_first_does_not_know() -> None:
    second = Recording("opaque")
    assert (await Authenticators([KEYS, second]).authenticate([b"Bearer opaque"])).subject == "someone"
    await Authenticators([KEYS, second]).authenticate([b"Bearer " + PLAIN.encode()])
    await refusal([b"Bearer vk_wrong"], second)
    assert second.asked == ["opaque"]


async def test_without_authenticators_nobody_gets_in() -> None:
    with pytest.raises(VoxgateError, match="credential_invalid"):
        await Authenticators([]).authenticate([b"Bearer x"])
