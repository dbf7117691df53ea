from pathlib import Path

import pytest

from tests.gates.samples import assert_caught, fake_gateway, judged
from voxgate_gates import Verdict, run_checks, select
from voxgate_gates.checks.data_endpoints import PLACES, suite
from voxgate_gates.php import running_shim, shim_fault
from voxgate_gates.php_cases import ENDPOINTS, PARITY

CHECKS = {check.id.removeprefix("data."): check for check in suite}
SHIM = Path(__file__).parents[3] / "php_shim"
NOWHERE = "http://127.0.0.1:9"
SHAPE_LIES = [
    "php-schema", "php-no-legacy", "php-stale-legacy", "php-success-text", "php-powered-by", "own-trace",
    "trace-header-differs", "headers-on-success-only",
]  # fmt: skip
REFUSALS = {"health": 405, "voice-chat": 415}


async def test_honest_endpoints_keep_every_promise_in_each_place() -> None:
    async with fake_gateway() as php, fake_gateway(php=php.url, remote_php=php.url) as target:
        report = await run_checks(target, list(suite), version="test")
    assert [result.echo for result in report.results if result.verdict is not Verdict.PASS] == []
    assert dict(report.results[-1].figures) == {"requests with equal answers": f"{len(PARITY)} of {len(PARITY)}"}


def test_the_seven_are_checked_in_each_place() -> None:
    names = {f"{place.name}-{endpoint.name.replace('_', '-')}" for place in PLACES for endpoint in ENDPOINTS}
    assert set(CHECKS) == names | {"parity"}
    assert len(names) == 21


@pytest.mark.parametrize("endpoint", [endpoint.name for endpoint in ENDPOINTS])
@pytest.mark.parametrize("lie", SHAPE_LIES)
async def test_a_lie_of_the_gateway_is_caught_at_every_endpoint(endpoint: str, lie: str) -> None:
    await assert_caught(CHECKS[f"gateway-{endpoint.replace('_', '-')}"], lie)


@pytest.mark.parametrize("endpoint", [endpoint.name for endpoint in ENDPOINTS])
async def test_a_refusal_in_another_shape_is_caught_at_every_endpoint(endpoint: str) -> None:
    await assert_caught(CHECKS[f"gateway-{endpoint.replace('_', '-')}"], f"plain-{REFUSALS.get(endpoint, 422)}")


async def test_a_405_that_names_no_method_is_caught() -> None:
    await assert_caught(CHECKS["gateway-health"], "php-no-allow")


@pytest.mark.parametrize("place", ["php", "remote"])
@pytest.mark.parametrize("endpoint", [endpoint.name for endpoint in ENDPOINTS])
async def test_a_lie_elsewhere_is_caught_there_alone(place: str, endpoint: str) -> None:
    name = endpoint.replace("_", "-")
    async with fake_gateway("php-schema") as lying, fake_gateway(php=lying.url, remote_php=lying.url) as target:
        report = await run_checks(target, [CHECKS[f"{place}-{name}"], CHECKS[f"gateway-{name}"]], version="test")
    assert [result.verdict for result in report.results] == [Verdict.FAIL, Verdict.PASS]


@pytest.mark.parametrize("lie", ["php-other-data", "php-no-legacy", "plain-422"])
async def test_answers_that_differ_are_no_parity(lie: str) -> None:
    async with fake_gateway(lie) as other:
        result = await judged(CHECKS["parity"], php=other.url)
    assert result.verdict is Verdict.FAIL
    assert any("[DIFFERENT] == []" in shortfall for shortfall in result.shortfalls)


async def test_being_wrong_alike_is_no_parity() -> None:
    async with fake_gateway("php-wrong-alike") as php:
        result = await judged(CHECKS["parity"], "php-wrong-alike", php=php.url)
    assert result.verdict is Verdict.FAIL
    assert any("[UNEXPECTED] == []" in shortfall for shortfall in result.shortfalls)


async def test_without_php_its_checks_are_skipped_with_the_reason_and_strictly_fall_short() -> None:
    async with fake_gateway(php_absent="php is not installed: apt-get install php-cli") as target:
        checks = [CHECKS["php-health"], CHECKS["parity"]]
        report = await run_checks(target, checks, version="test")
        strict = await run_checks(target, checks, version="test", strict=True)
    assert [result.verdict for result in report.results] == [Verdict.SKIP] * 2
    assert report.results[0].got == "needs the PHP shim: php is not installed: apt-get install php-cli"
    assert [result.verdict for result in strict.results] == [Verdict.FAIL] * 2


async def test_a_php_base_out_of_reach_is_not_judged() -> None:
    result = await judged(CHECKS["remote-health"], remote_php=NOWHERE)
    assert result.verdict is Verdict.ERROR
    assert "cannot be reached" in result.got


async def test_a_php_base_gets_its_own_key_and_never_the_gateways() -> None:
    async with fake_gateway() as php:
        result = await judged(CHECKS["remote-health"], remote_php=php.url, remote_php_key="key-of-the-php-base")
    assert result.verdict is Verdict.PASS
    assert "Authorization: Bearer $SECRET" in result.request


@pytest.mark.skipif(shim_fault(SHIM) is not None, reason=f"{shim_fault(SHIM)}")
async def test_the_real_shim_keeps_its_promises() -> None:
    async with running_shim(SHIM) as url, fake_gateway(php=url) as target:
        checks = [check for name, check in CHECKS.items() if name.startswith("php-")]
        report = await run_checks(target, checks, version="test")
    assert [result.echo for result in report.results if result.verdict is not Verdict.PASS] == []


def test_nothing_that_lasts_is_sent_to_production() -> None:
    safe = {check.id.removeprefix("data.") for check in select(suite, readonly=True)}
    assert {name for name in CHECKS if name not in safe} == {
        "gateway-donna-logic", "gateway-voice-chat", "remote-donna-logic", "remote-voice-chat", "parity",
    }  # fmt: skip
