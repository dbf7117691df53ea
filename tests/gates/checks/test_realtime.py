import pytest

from tests.gates.samples import assert_caught, assert_promises_kept, fake_gateway, judged
from voxgate_gates import Verdict, run_checks
from voxgate_gates.checks.realtime import suite

CHECKS = {check.id.removeprefix("realtime."): check for check in suite}

LIES = [
    ("no-credential-4001", "close-before-accept"),
    ("no-credential-4001", "no-error-event"),
    ("no-credential-4001", "close-1008"),
    ("no-credential-4001", "no-reason"),
    ("silent-socket-4001", "silent-1000"),
    ("silent-socket-4001", "silent-at-once"),
    ("garbage-token-4003", "garbage-4001"),
    ("tampered-token-4003", "unsigned"),
    ("expired-token-4003", "no-expiry"),
    ("wrong-origin-token-4003", "any-token-origin"),
    ("replayed-token-4003", "replay"),
    ("revoked-live-4003", "revoked-1000"),
    ("revoked-live-4003", "revoke-500"),
    ("bad-origin-403", "socket-any-origin"),
    ("auth-success-first", "late-announcement"),
    ("auth-success-first", "announces-resumed"),
    ("auth-success-first", "announces-soon"),
    ("credential-subprotocol", "echo-credential"),
    ("credential-subprotocol", "no-subprotocol"),
    ("credential-first-message", "no-first-message"),
    ("credential-api-key-header", "no-api-key"),
    ("query-token-refused", "query-token"),
]


async def test_an_honest_gateway_keeps_every_promise() -> None:
    await assert_promises_kept(suite)


@pytest.mark.parametrize(("name", "lie"), LIES)
async def test_a_lie_is_caught_by_the_check_meant_for_it(name: str, lie: str) -> None:
    await assert_caught(CHECKS[name], lie)


def test_every_check_has_a_lie() -> None:
    assert {name for name, _ in LIES} == set(CHECKS)


@pytest.mark.parametrize("name", ["replayed-token-4003", "revoked-live-4003"])
async def test_a_gateway_that_admits_nobody_can_not_be_judged_on_what_follows(name: str) -> None:
    result = await judged(CHECKS[name], "late-announcement")
    assert result.verdict is Verdict.ERROR
    assert "a good token was not admitted" in result.got


async def test_an_expired_token_is_not_waited_for_forever() -> None:
    result = await judged(CHECKS["expired-token-4003"], "stretches-ttl")
    assert result.verdict is Verdict.ERROR
    assert "too long to wait for" in result.got


async def test_no_token_is_in_the_results() -> None:
    async with fake_gateway("echo-credential") as target:
        report = await run_checks(target, list(suite), version="test")
    assert "eyJ" not in repr(report)
    assert target.key is not None
    assert target.key not in repr(report)
