from base64 import urlsafe_b64encode

import pytest

from tests.gates.samples import assert_caught, fake_gateway, judged
from voxgate_gates import Check, Verdict, run_checks
from voxgate_gates.checks.security import suite

CHECKS = {check.id.removeprefix("security."): check for check in suite}

LIES = [
    ("token-unauthenticated-401", "no-www-authenticate"),
    ("token-unauthenticated-401", "anonymous-token"),
    ("token-unauthenticated-401", "plain-401"),
    ("token-wrong-key-401", "any-key"),
    ("token-bad-origin-403", "any-origin"),
    ("token-bad-origin-403", "acao-on-refusal"),
    ("token-bad-origin-403", "plain-403"),
    ("token-bad-origin-before-credential", "credential-first"),
    ("token-null-origin-403", "null-origin"),
    ("token-issued-200", "no-legacy"),
    ("token-issued-200", "cacheable"),
    ("token-issued-200", "no-tokens"),
    ("token-ttl", "long-tokens"),
    ("token-ttl", "no-tokens"),
    ("token-ttl-capped", "uncapped"),
    ("token-ttl-capped", "no-tokens"),
    ("token-ttl-capped", "token-404"),
    ("client-secrets-shape", "enveloped-secret"),
    ("client-secrets-shape", "late-expires-at"),
    ("client-secrets-shape", "long-tokens"),
    ("revoke-unauthenticated-401", "open-revoke"),
    ("revoke-issuer-403", "issuer-revokes"),
    ("secrets-never-echoed", "echo-key"),
    ("secrets-never-echoed", "token-404"),
    ("secrets-never-echoed", "health-404"),
]


async def test_an_honest_gateway_keeps_every_promise() -> None:
    for environment in ("dev", "prod"):
        async with fake_gateway(environment=environment) as target:
            report = await run_checks(target, list(suite), version="test")
        assert [result.echo for result in report.results if result.verdict is not Verdict.PASS] == []


@pytest.mark.parametrize(("name", "lie"), LIES)
async def test_a_lie_is_caught_by_the_check_meant_for_it(name: str, lie: str) -> None:
    await assert_caught(CHECKS[name], lie)


async def test_a_longer_life_may_be_refused_in_the_envelope() -> None:
    assert (await judged(CHECKS["token-ttl-capped"], "refuses-long-ttl")).verdict is Verdict.PASS
    plain = await judged(CHECKS["token-ttl-capped"], "refuses-long-ttl", "plain-400")
    assert plain.verdict is Verdict.FAIL


async def test_where_no_token_is_granted_at_all_no_life_was_refused() -> None:
    result = await judged(CHECKS["token-ttl-capped"], "token-400")
    assert (result.verdict, "no token to begin with" in result.got) == (Verdict.ERROR, True)


def test_every_check_has_a_lie() -> None:
    assert {name for name, _ in LIES} == set(CHECKS)


@pytest.mark.parametrize("check", [check for check in suite if check.needs], ids=lambda check: str(check.id))
async def test_what_a_check_lacks_skips_it(check: Check) -> None:
    result = await judged(check, key=None, issuer_key=None, origin=None)
    assert result.verdict is Verdict.SKIP


async def test_no_secret_of_a_run_is_in_its_results() -> None:
    async with fake_gateway("echo-key") as target:
        report = await run_checks(target, list(suite), version="test")
    assert target.key is not None
    assert target.issuer_key is not None
    for secret in (target.key, target.issuer_key, *target.secrets, "eyJ"):
        assert secret not in repr(report)


async def test_a_token_in_another_shape_has_no_life_to_read() -> None:
    from voxgate_gates import ABSENT
    from voxgate_gates.checks.security import _life_of

    yes = urlsafe_b64encode(b'{"iat": true, "exp": 300}').decode().rstrip("=")
    for odd in (None, "no.token", "a.e30.c", f"a.{yes}.c"):
        assert _life_of(odd) == {"TTL": ABSENT, "EXP": ABSENT}


async def test_a_moment_in_a_token_may_have_a_fraction() -> None:
    from voxgate_gates.checks.security import _life_of

    claims = urlsafe_b64encode(b'{"iat": 1700000000.25, "exp": 1700000300.25}').decode().rstrip("=")
    assert _life_of(f"a.{claims}.c") == {"TTL": 300, "EXP": 1700000300}


async def test_the_command_for_a_wrong_key_does_not_put_the_good_one_in() -> None:
    result = await judged(CHECKS["token-wrong-key-401"])
    assert "VOXGATE_KEY" not in result.reproduce
    assert "vk_" not in result.reproduce + result.request
