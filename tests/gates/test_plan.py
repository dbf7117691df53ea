from dataclasses import replace
from pathlib import Path

import pytest

from voxgate_gates import ALL_CHECKS
from voxgate_gates.check import Need
from voxgate_gates.configuration import Configuration
from voxgate_gates.plan import Options, Plan, PlanError, made_plan
from voxgate_gates.target import Budgets, Routes, Target

CONFIGURED = Configuration(
    url="https://configured.test",
    environment="preview",
    origin="https://a.test",
    other_origin="https://b.test",
    key_env="CONFIGURED_KEY",
    issuer_key_env="CONFIGURED_ISSUER",
    php_key_env="CONFIGURED_PHP",
    php_shim="shim",
    php_base="https://php.test",
    routes=Routes(token="/elsewhere"),
    budgets=Budgets(first_audio_ms=100),
    only=("security",),
    profile="readonly",
    strict=True,
)
ENVIRONMENT = {
    "VOXGATE_GATE_KEY": "usual",
    "CONFIGURED_KEY": "configured",
    "CONFIGURED_ISSUER": "issuer",
    "CONFIGURED_PHP": "php",
    "GIVEN": "given",
    "EMPTY": "",
}


def plan(options: Options | None = None, configuration: Configuration | None = None) -> Plan:
    return made_plan(
        ALL_CHECKS, options or Options(), configuration or Configuration(), ENVIRONMENT, Path("/where/it/is")
    )


def target_of(made: Plan) -> Target:
    assert made.target is not None
    return made.target


def test_without_anything_a_gateway_of_its_own_is_judged_in_full() -> None:
    made = plan()
    assert (made.target, made.environment, made.strict, made.shim) == (None, "preview", False, None)
    assert made.checks == tuple(check for check in ALL_CHECKS if Need.REMOTE_PHP not in check.needs)


def test_a_target_is_held_to_production_and_its_key_is_where_it_usually_is() -> None:
    made = plan(Options(target="https://h.test"))
    assert (made.environment, target_of(made).environment, target_of(made).key) == ("prod", "prod", "usual")


def test_whether_somebody_named_the_environment_is_known() -> None:
    assert plan(Options(target="https://given.test")).is_assumed
    assert not plan(Options(target="https://given.test", environment="prod")).is_assumed
    assert not plan(Options(target="https://given.test"), Configuration(environment="preview")).is_assumed


def test_the_file_is_followed() -> None:
    made = plan(Options(names_file=True), CONFIGURED)
    target = target_of(made)
    assert (target.url, target.environment, target.origin) == ("https://configured.test", "preview", "https://a.test")
    assert (target.other_origin, target.key, target.issuer_key) == ("https://b.test", "configured", "issuer")
    assert (made.routes, made.budgets, made.strict) == (CONFIGURED.routes, CONFIGURED.budgets, True)
    assert (made.remote_php, made.remote_php_key) == ("https://php.test", "php")
    assert made.shim == Path("/where/it/is/shim")
    assert {check.gate for check in made.checks} == {"security"}
    assert all(check.safe_on_production for check in made.checks)


@pytest.mark.parametrize(
    ("configuration", "option"),
    [
        (Configuration(url="https://configured.test"), "--target"),
        (Configuration(url="https://configured.test", issuer_key_env="CONFIGURED_ISSUER", key_env="EMPTY"), "--target"),
        (Configuration(php_base="https://php.test", php_key_env="CONFIGURED_PHP"), "--php-base"),
    ],
)
def test_a_file_that_was_only_found_leads_no_key_anywhere(configuration: Configuration, option: str) -> None:
    with pytest.raises(PlanError, match="name the file by --config") as refused:
        plan(configuration=configuration)
    assert refused.value.option == option
    assert plan(Options(names_file=True), configuration).checks
    given = Options(target="https://given.test", php_base="https://given.test")
    assert plan(given, configuration).checks
    without_keys = replace(configuration, key_env="EMPTY", issuer_key_env="EMPTY", php_key_env="EMPTY")
    assert plan(configuration=without_keys).checks


def test_an_option_wins_over_the_file() -> None:
    options = Options(
        target="https://given.test/",
        only=("data",),
        profile="full",
        key_env="GIVEN",
        issuer_key_env="EMPTY",
        origin="https://c.test",
        environment="dev",
        php_shim=Path("other"),
        php_base="https://other.test",
    )
    made = plan(options, CONFIGURED)
    target = target_of(made)
    assert (target.url, target.environment, target.origin) == ("https://given.test", "dev", "https://c.test")
    assert (target.other_origin, target.key, target.issuer_key) == ("https://b.test", "given", None)
    assert (made.shim, made.remote_php) == (Path("other"), "https://other.test")
    assert {check.gate for check in made.checks} == {"data"}
    assert any(not check.safe_on_production for check in made.checks)
    assert any(Need.REMOTE_PHP in check.needs for check in made.checks)


@pytest.mark.parametrize(
    ("options", "told", "option"),
    [
        (Options(only=("nope",)), "no such gate or check: nope; gates are security, realtime", None),
        (Options(target="ftp://h"), "http:// or https://", "--target"),
        (Options(php_base="http://u:hunter22@h"), "leave user and password out", "--php-base"),
        (Options(origin="https://a.test"), "go with --target", None),
    ],
)
def test_what_does_not_fit_is_told(options: Options, told: str, option: str | None) -> None:
    with pytest.raises(PlanError) as caught:
        plan(options)
    assert told in str(caught.value)
    assert caught.value.option == option
    assert "hunter22" not in str(caught.value)


def test_keys_are_in_no_repr() -> None:
    shown = repr(plan(Options(names_file=True), CONFIGURED))
    assert not any(secret in shown for secret in ("'configured'", "'issuer'", "'php'"))
