"""Origin, then credential, then role: every refusal of a caller, and that the earlier one is uttered first."""

import pytest

from tests.security.rig import ORIGIN
from voxgate_core import CallerGate, Environment, VoxgateError
from voxgate_security import (
    ApiKeyAuthenticator,
    ApiKeys,
    Authenticators,
    Caller,
    MissingOrigin,
    OriginPolicy,
    RequestGate,
    Role,
    new_key,
)

ISSUER_KEY, ISSUER_STORED = new_key("backend", "issuer")
OPERATOR_KEY, OPERATOR_STORED = new_key("ops", "operator")
EVIL = (b"origin", b"https://evil.example")
PAGE = (b"origin", ORIGIN.encode())


def bearer(credential: str) -> tuple[bytes, bytes]:
    return b"authorization", f"Bearer {credential}".encode()


class Provider:
    """Knows one end user, and can't be asked about another."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def authenticate(self, credential: str) -> Caller | None:
        self.asked.append(credential)
        if credential == "unreachable":
            raise VoxgateError("unavailable")
        return Caller("user-1", Role.USER, "oidc", "oidc:x") if credential == "user" else None


class Door:
    """A gate as the gateway wires it, and the provider behind it."""

    def __init__(self, missing: MissingOrigin = MissingOrigin.ALLOW_WITH_BEARER) -> None:
        self.provider = Provider()
        keys = ApiKeyAuthenticator(ApiKeys.parse(f"{ISSUER_STORED},{OPERATOR_STORED}"))
        self.gate: CallerGate = RequestGate(
            OriginPolicy.parse(Environment.PROD, [ORIGIN], missing=missing), Authenticators([keys, self.provider])
        )

    async def refusal(self, *headers: tuple[bytes, bytes], operator: bool = False) -> VoxgateError:
        with pytest.raises(VoxgateError) as caught:
            await self.gate.admit(headers, operator=operator)
        return caught.value


@pytest.mark.parametrize("origin", [(), (PAGE,)])
async def test_backends_and_operators_are_let_in_by_name(origin: tuple[tuple[bytes, bytes], ...]) -> None:
    gate = Door().gate
    assert await gate.admit([bearer(ISSUER_KEY), *origin]) == "key:backend"
    assert await gate.admit([*origin, bearer(OPERATOR_KEY)]) == "key:ops"
    assert await gate.admit([*origin, bearer(OPERATOR_KEY)], operator=True) == "key:ops"


@pytest.mark.parametrize("operator", [False, True])
async def test_an_end_user_is_never_let_in(operator: bool) -> None:
    assert (await Door().refusal(bearer("user"), operator=operator)).code == "role_refused"


async def test_where_an_operator_is_needed_a_backend_is_refused_and_told_so() -> None:
    error = await Door().refusal(bearer(ISSUER_KEY), operator=True)
    assert (error.code, error.message) == ("role_refused", "this needs an operator's key")


@pytest.mark.parametrize(
    "credential", [(), (bearer("user"),), (bearer("vk_no"),), (bearer("unreachable"),), (bearer(OPERATOR_KEY),)]
)
async def test_the_origin_is_judged_before_any_credential_is_looked_at(
    credential: tuple[tuple[bytes, bytes], ...],
) -> None:
    door = Door()
    assert (await door.refusal(EVIL, *credential, operator=True)).code == "origin_refused"
    assert door.provider.asked == []


async def test_two_origins_are_refused_even_if_both_are_allowed() -> None:
    assert (await Door().refusal(PAGE, PAGE, bearer(ISSUER_KEY))).code == "origin_refused"


async def test_where_origins_are_required_a_backend_without_one_is_refused() -> None:
    assert (await Door(MissingOrigin.REQUIRE).refusal(bearer(ISSUER_KEY))).code == "origin_refused"


@pytest.mark.parametrize("operator", [False, True])
async def test_a_missing_and_a_wrong_credential_come_before_the_role(operator: bool) -> None:
    door = Door()
    missing = await door.refusal(PAGE, operator=operator)
    assert (missing.code, missing.headers["WWW-Authenticate"]) == ("credential_missing", 'Bearer realm="voxgate"')
    wrong = await door.refusal(bearer("vk_no"), operator=operator)
    assert wrong.code == "credential_invalid"
    assert wrong.headers["WWW-Authenticate"].endswith('error="invalid_token"')
    twice = await door.refusal(bearer(OPERATOR_KEY), bearer(OPERATOR_KEY), operator=operator)
    assert twice.code == "credential_invalid"


async def test_a_credential_that_cannot_be_looked_up_lets_nobody_in() -> None:
    assert (await Door().refusal(bearer("unreachable"))).code == "unavailable"
