"""Tokens that were issued are verified; every hostile one is refused, spends nothing, and raises nothing unexpected."""

import asyncio
import time
from typing import Any

import jwt
import pytest

from tests.security.hostile_tokens import CONTROLS, HOSTILE, Hostile
from tests.security.rig import CLAIMS, NOW, ORIGIN, RING_TEXT, SECRET, TTL, MeddledKeyValue, World, sign
from voxgate_core import Entry, Environment, Grant, Leash, ManualClock, MemoryKeyValue, SystemClock, VoxgateError
from voxgate_security import (
    DEFAULT_SCOPE,
    MAX_TOKEN,
    TOKEN_TYPE,
    KeyRing,
    Revocations,
    TokenIssuer,
    TokenRequest,
    Verifier,
    inspect,
)
from voxgate_security.guard import leash_to_claim

REFUSALS = {"credential_invalid", "token_expired", "token_replayed", "token_revoked", "token_wrong_origin"}
CONTEXT_CODES = {"spent": "token_replayed", "jti": "token_revoked", "sub": "token_revoked", "sid": "token_revoked"}


def name_of(case: Hostile) -> str:
    return f"{case.family}: {case.id}".encode("ascii", "backslashreplace").decode().replace("\0", "NUL")


async def refusal(world: World, token: str, origin: str | None = ORIGIN, *, single_use: bool = True) -> VoxgateError:
    with pytest.raises(VoxgateError) as caught:
        await world.verifier.verify(token, origin=origin, single_use=single_use)
    return caught.value


async def prepare(world: World, before: str) -> None:
    if before == "spent":
        await world.verifier.verify(sign(), origin=ORIGIN, single_use=True)
    elif before == "jti":
        await world.revocations.revoke(jti=str(CLAIMS["jti"]))
    elif before == "sub":
        await world.revocations.revoke(subject=str(CLAIMS["sub"]))
    elif before == "sid":
        await world.revocations.revoke(session_id=str(CLAIMS["sid"]))


def test_there_are_many_hostile_tokens_and_a_control_for_every_family() -> None:
    assert len(HOSTILE) >= 150
    assert {case.family for case in HOSTILE} == {case.family for case in CONTROLS}
    assert len({(case.family, case.id) for case in HOSTILE}) == len(HOSTILE)


@pytest.mark.parametrize("case", HOSTILE, ids=name_of)
async def test_a_hostile_token_is_refused_and_leaves_no_trace(case: Hostile) -> None:
    world = World()
    await prepare(world, case.before)
    held = len(world.store)
    error = await refusal(world, case.token, case.origin)
    assert error.code in REFUSALS
    if case.before:
        assert error.code == CONTEXT_CODES[case.before]
    assert len(world.store) == held, "a refused token was written down"
    assert SECRET not in str(error)
    assert not case.token or len(case.token) < 9 or case.token not in f"{error} {error.details}"
    again = await refusal(world, case.token, case.origin, single_use=False)
    assert again.code == error.code


async def test_a_token_is_good_more_than_once_only_until_it_is_spent() -> None:
    world = World()
    token = world.issuer.issue(TokenRequest("alice")).token
    for _ in range(2):
        await world.verifier.verify(token, origin=None, single_use=False)
    await world.verifier.verify(token, origin=None, single_use=True)
    assert (await refusal(world, token, None, single_use=False)).code == "token_replayed"


@pytest.mark.parametrize("case", CONTROLS, ids=name_of)
async def test_a_good_token_of_the_same_maker_is_accepted(case: Hostile) -> None:
    grant = await World().verifier.verify(case.token, origin=case.origin, single_use=True)
    assert grant.session_id == CLAIMS["sid"]


def pyjwt_claims(token: str) -> dict[str, Any]:
    """What PyJWT's own ``decode`` reads, with everything it can check switched on but the wall clock."""
    ring = KeyRing.parse(RING_TEXT)
    bare = token.removeprefix("ek_")
    key = ring.get(jwt.get_unverified_header(bare)["kid"])
    assert key is not None
    claims: dict[str, Any] = jwt.decode(
        bare,
        key.verifying,
        algorithms=[key.algorithm],
        audience="voxgate-realtime",
        issuer="voxgate",
        options={
            "require": sorted(set(CLAIMS) - {"origin"}),
            "enforce_minimum_key_length": True,
            "strict_aud": True,
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
        },
    )
    return claims


@pytest.mark.parametrize("case", CONTROLS, ids=name_of)
def test_what_is_accepted_pyjwt_decodes_to_the_same_claims(case: Hostile) -> None:
    grant = World().verifier.authenticate(case.token)
    claims = pyjwt_claims(case.token)
    assert claims["sub"] == grant.subject
    assert (claims["sid"], claims["jti"], claims["origin"]) == (grant.session_id, grant.token_id, grant.origin)
    assert (claims["iat"], claims["exp"]) == (grant.issued_at, grant.expires_at)
    assert set(claims["scope"].split()) == grant.scope
    assert claims.get("leash", {}) == leash_to_claim(grant.leash)


def test_pyjwt_alone_accepts_many_of_the_hostile_ones() -> None:
    accepted = 0
    for case in HOSTILE:
        try:
            pyjwt_claims(case.token)
        except Exception:
            continue
        accepted += 1
    assert accepted > 20


async def test_an_issued_token_comes_back_as_it_was_granted() -> None:
    world = World()
    leash = Leash(seconds=60, tokens=1000, spend=0.25, session={"model": "m", "tools": []})
    request = TokenRequest("alice", ORIGIN, frozenset({"realtime", "transcribe"}), ttl=120, leash=leash)
    issued = world.issuer.issue(request)
    grant = await world.verifier.verify(issued.token, origin=ORIGIN, single_use=True)
    assert grant == issued.grant
    assert (grant.issued_at, grant.expires_at) == (NOW, NOW + 120)
    assert jwt.get_unverified_header(issued.token) == {"alg": "HS256", "kid": "main", "typ": TOKEN_TYPE}


@pytest.mark.parametrize(
    ("environment", "ttl"), [(Environment.DEV, 600), (Environment.PREVIEW, 300), (Environment.PROD, 300)]
)
@pytest.mark.parametrize("asked", [None, 300, 7200])
def test_a_token_lives_no_longer_than_its_environment_allows(
    environment: Environment, ttl: int, asked: int | None
) -> None:
    world = World(environment)
    grant = world.issuer.issue(TokenRequest("alice", ttl=asked)).grant
    assert grant.expires_at - grant.issued_at == min(asked or ttl, ttl)
    assert world.issuer.max_ttl == ttl


async def test_a_token_of_dev_is_too_long_for_prod() -> None:
    issued = World(Environment.DEV).issuer.issue(TokenRequest("alice", ORIGIN))
    assert (await refusal(World(Environment.PROD), issued.token)).details == {"reason": "life"}


async def test_a_token_is_good_until_the_very_second_it_expires() -> None:
    world = World()
    token = world.issuer.issue(TokenRequest("alice", ttl=10)).token
    world.clock.advance(9.999)
    await world.verifier.verify(token, origin=ORIGIN, single_use=False)
    world.clock.advance(0.001)
    assert (await refusal(world, token)).code == "token_expired"


async def test_an_unbound_token_opens_from_any_origin_and_a_bound_one_from_its_own() -> None:
    world = World()
    unbound = world.issuer.issue(TokenRequest("alice")).token
    for origin in (None, ORIGIN, "https://other.example"):
        await world.verifier.verify(unbound, origin=origin, single_use=False)
    bound = world.issuer.issue(TokenRequest("alice", ORIGIN)).token
    assert (await refusal(world, bound, None)).code == "token_wrong_origin"
    await world.verifier.verify(bound, origin=ORIGIN, single_use=True)


async def test_a_replayed_token_is_refused_once_used() -> None:
    world = World()
    token = world.issuer.issue(TokenRequest("alice")).token
    await world.verifier.verify(token, origin=None, single_use=True)
    assert (await refusal(world, token, None)).code == "token_replayed"
    assert (await refusal(world, f"ek_{token}", None)).code == "token_replayed"


async def test_of_a_thousand_at_once_one_wins() -> None:
    world = World()
    token = world.issuer.issue(TokenRequest("alice")).token
    results = await asyncio.gather(
        *(world.verifier.verify(token, origin=None, single_use=True) for _ in range(1000)), return_exceptions=True
    )
    assert sum(isinstance(result, Grant) for result in results) == 1
    refused = [result for result in results if isinstance(result, VoxgateError)]
    assert [error.code for error in refused] == ["token_replayed"] * 999


async def test_a_refused_presentation_does_not_spend_the_token() -> None:
    world = World()
    token = world.issuer.issue(TokenRequest("alice", ORIGIN)).token
    for _ in range(3):
        assert (await refusal(world, token, "https://evil.example")).code == "token_wrong_origin"
    await world.verifier.verify(token, origin=ORIGIN, single_use=True)


async def test_a_scope_can_be_required() -> None:
    world = World()
    strict = Verifier(world.ring, world.clock, Environment.PROD, world.store, required_scope="realtime")
    assert (await strict.verify(sign(), origin=ORIGIN, single_use=False)).scope == DEFAULT_SCOPE
    other = world.issuer.issue(TokenRequest("alice", scope=frozenset({"transcribe"}))).token
    with pytest.raises(VoxgateError) as caught:
        await strict.verify(other, origin=None, single_use=False)
    assert caught.value.code == "policy_refused"


class _RevokedMeanwhile(MemoryKeyValue):
    """A store in which the token is revoked at the moment it is spent."""

    revocations: Revocations

    async def put_if_absent(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        if key.startswith("security.used."):
            await self.revocations.revoke(jti=str(CLAIMS["jti"]))
        return await super().put_if_absent(key, value, ttl=ttl)


async def test_a_revocation_that_comes_while_a_token_is_being_spent_still_counts() -> None:
    clock = ManualClock(NOW)
    store = _RevokedMeanwhile(clock)
    store.revocations = Revocations(store, clock)
    verifier = Verifier(KeyRing.parse(RING_TEXT), clock, Environment.PROD, store)
    with pytest.raises(VoxgateError) as caught:
        await verifier.verify(sign(), origin=ORIGIN, single_use=True)
    assert caught.value.code == "token_revoked"


@pytest.mark.parametrize("single_use", [True, False])
async def test_a_token_that_expires_while_a_slow_store_is_asked_does_not_open(single_use: bool) -> None:
    clock = ManualClock(NOW)

    async def prompt(_: str, __: str) -> None:
        return None

    async def stalled(method: str, key: str) -> None:
        if method == "put_if_absent" or key.startswith("security.revoked.sub"):
            clock.advance(210)  # the token and the record of its first use are over

    store = MeddledKeyValue(clock, prompt)
    verifier = Verifier(KeyRing.parse(RING_TEXT), clock, Environment.PROD, store)
    await verifier.verify(sign(), origin=ORIGIN, single_use=single_use)
    store.meddle = stalled
    with pytest.raises(VoxgateError) as caught:
        await verifier.verify(sign(), origin=ORIGIN, single_use=single_use)
    assert caught.value.code == "token_expired"


class _Broken(MemoryKeyValue):
    """A store that can't be asked."""

    async def get(self, key: str) -> Entry | None:
        raise VoxgateError("unavailable")


async def test_when_the_store_fails_nobody_gets_in() -> None:
    clock = ManualClock(NOW)
    verifier = Verifier(KeyRing.parse(RING_TEXT), clock, Environment.PROD, _Broken(clock))
    with pytest.raises(VoxgateError) as caught:
        await verifier.verify(sign(), origin=ORIGIN, single_use=False)
    assert caught.value.code == "unavailable"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (TokenRequest(""), "sub"),
        (TokenRequest("x" * 257), "sub"),
        (TokenRequest("a\nb"), "sub"),
        (TokenRequest("a", scope=frozenset()), "scope"),
        (TokenRequest("a", scope=frozenset({"a b"})), "scope"),
        (TokenRequest("a", scope=frozenset(f"s{n}" for n in range(40))), "scope"),
        (TokenRequest("a", ttl=0), "ttl"),
        (TokenRequest("a", ttl=-5), "ttl"),
        (TokenRequest("a", origin="x" * 300), "origin"),
        (TokenRequest("a", leash=Leash(seconds=0)), "leash"),
        (TokenRequest("a", leash=Leash(spend=float("nan"))), "leash"),
        (TokenRequest("a", leash=Leash(session={"a": "\ud800"})), "leash"),
        (TokenRequest("a", leash=Leash(session={"instructions": "x" * MAX_TOKEN})), "leash"),
    ],
)
def test_a_token_that_would_be_refused_is_not_handed_out(request_: TokenRequest, field: str) -> None:
    with pytest.raises(VoxgateError) as caught:
        World().issuer.issue(request_)
    assert caught.value.code == "invalid_input"
    assert list(caught.value.details or {}) == [field]


def test_ids_are_fresh_every_time() -> None:
    issuer = World().issuer
    grants = [issuer.issue(TokenRequest("alice")).grant for _ in range(50)]
    assert len({grant.token_id for grant in grants}) == len({grant.session_id for grant in grants}) == 50


def test_the_repr_of_an_issued_token_does_not_show_it() -> None:
    issued = World().issuer.issue(TokenRequest("alice"))
    assert issued.token not in repr(issued)
    assert issued.token.split(".")[2] not in repr(issued)


async def test_tokens_of_a_key_that_is_replaced_live_on_and_new_ones_carry_the_new_key() -> None:
    clock = ManualClock(NOW)
    old = KeyRing.parse(f"a:{SECRET}")
    before = TokenIssuer(old, clock, Environment.PROD).issue(TokenRequest("alice")).token
    prepared = KeyRing.parse(old.prepared().export())
    new = prepared.rotated(retire_at=NOW + 5, now=NOW)
    store = MemoryKeyValue(clock)
    after = TokenIssuer(new, clock, Environment.PROD).issue(TokenRequest("bob")).token
    assert inspect(after).key_id == new.active.kid != "a"
    for ring in (prepared, new, KeyRing.parse(new.export())):
        verifier = Verifier(ring, clock, Environment.PROD, store)
        for token in (before, after):
            await verifier.verify(token, origin=None, single_use=False)
    clock.advance(6)
    late = TokenIssuer(old, clock, Environment.PROD).issue(TokenRequest("mallory")).token
    verifier = Verifier(new, clock, Environment.PROD, store)
    await verifier.verify(before, origin=None, single_use=False)
    with pytest.raises(VoxgateError):
        await verifier.verify(late, origin=None, single_use=False)
    leaked = Verifier(prepared.rotated(retire_at=None, now=NOW), clock, Environment.PROD, store)
    with pytest.raises(VoxgateError):
        await leaked.verify(before, origin=None, single_use=False)


async def test_verifying_on_the_system_clock_works_too() -> None:
    clock = SystemClock()
    ring = KeyRing.generate()
    token = TokenIssuer(ring, clock, Environment.DEV).issue(TokenRequest("alice")).token
    grant = await Verifier(ring, clock, Environment.DEV, MemoryKeyValue()).verify(token, origin=None, single_use=True)
    assert abs(grant.issued_at - time.time()) < 5
    assert grant.expires_at - grant.issued_at == 600
    assert TTL == Environment.PROD.token_ttl
