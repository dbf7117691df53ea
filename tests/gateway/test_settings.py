import json
from pathlib import Path

import pytest

from tests.gateway.rig import PREVIEW, SECRET
from voxgate_core import ConfigurationError, Environment
from voxgate_gateway.settings import DEV_ORIGINS, Settings, load
from voxgate_security import MissingOrigin


def faults(environ: dict[str, str]) -> str:
    try:
        return "\n".join(load(environ).faults())
    except ConfigurationError as refusal:
        return "\n".join(refusal.faults)


def test_dev_needs_nothing() -> None:
    settings = load({})
    assert settings.environment is Environment.DEV
    assert settings.origins == DEV_ORIGINS
    assert settings.upstream == "engine"
    assert settings.missing_origin is MissingOrigin.ALLOW_WITH_BEARER


def test_an_environments_own_origin_list_wins() -> None:
    common = {**PREVIEW, "ALLOWED_ORIGINS": "https://a.example, https://b.example,"}
    assert load(common).origins == ("https://a.example", "https://b.example")
    assert load({**common, "ALLOWED_ORIGINS_PREVIEW": "https://p.example"}).origins == ("https://p.example",)
    assert load({**common, "ALLOWED_ORIGINS_PROD": "https://p.example"}).origins[0] == "https://a.example"


@pytest.mark.parametrize("environment", ["preview", "prod"])
def test_outside_dev_everything_that_is_missing_is_listed_at_once(environment: str) -> None:
    listed = faults({"VOXGATE_ENV": environment})
    for name in ("JWT_SECRET", "VOXGATE_API_KEYS", "ALLOWED_ORIGINS"):
        assert name in listed


def test_every_value_that_cannot_be_read_is_listed_at_once_and_not_repeated() -> None:
    listed = faults({"VOXGATE_ENV": "staging", "VOXGATE_MAX_SESSIONS": "many", "ENABLE_WS_PROXY": "perhaps"})
    for name in ("VOXGATE_ENV", "VOXGATE_MAX_SESSIONS", "ENABLE_WS_PROXY"):
        assert name in listed
    assert "perhaps" not in listed  # a value may be a secret in the wrong place


def test_what_is_missing_is_listed_beside_what_cannot_be_read() -> None:
    listed = faults({"VOXGATE_ENV": "prod", "VOXGATE_MAX_SESSIONS": "many"})
    assert "VOXGATE_MAX_SESSIONS" in listed
    assert "JWT_SECRET" in listed


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_variable_is_one_that_is_not_set(value: str) -> None:
    assert load({"VOXGATE_UPSTREAM": value, "VOXGATE_ENV": value}).upstream == "engine"


def test_oidc_is_set_whole_or_not_at_all() -> None:
    assert "VOXGATE_OIDC_JWKS_URL" in faults({"VOXGATE_OIDC_ISSUER": "https://id.example"})


def test_a_plain_http_public_url_is_a_fault_in_prod() -> None:
    assert "VOXGATE_PUBLIC_URL" in faults({**PREVIEW, "VOXGATE_ENV": "prod", "VOXGATE_PUBLIC_URL": "http://v.example"})


def test_a_prod_gateway_plays_tones_only_when_that_is_written_out() -> None:
    prod = {**PREVIEW, "VOXGATE_ENV": "prod"}
    assert "VOXGATE_UPSTREAM is not set" in faults(prod)
    assert "VOXGATE_UPSTREAM" not in faults({**prod, "VOXGATE_UPSTREAM": "engine"})
    assert load({**prod, "VOXGATE_UPSTREAM": "engine"}).notes() == [
        "VOXGATE_UPSTREAM is engine: nobody hears a model, only tones"
    ]
    assert load({**prod, "VOXGATE_UPSTREAM": "openai"}).notes() == load({}).notes() == []


def test_other_variables_are_left_alone() -> None:
    assert load({"PATH": "/bin", "VOXGATE_FUTURE": "x", "environment": "prod"}).environment is Environment.DEV


def test_secrets_show_as_fingerprints_only() -> None:
    settings = load({**PREVIEW, "OPENAI_API_KEY": "sk-very-secret", "VOXGATE_DATA_DIR": "data"})
    shown = json.dumps(settings.shown())
    assert "sk-very-secret" not in shown + repr(settings)
    assert SECRET.partition(":")[2] not in shown + repr(settings)
    table = settings.shown()
    assert str(table["OPENAI_API_KEY"]).startswith("set, sha256 ")
    assert table["AZURE_OPENAI_API_KEY"] == "not set"
    assert table["VOXGATE_DATA_DIR"] == "data"


def test_secrets_are_given_to_the_redactor_whole_and_in_parts() -> None:
    more = {"VOXGATE_NATS_PASSWORD": "nats-secret", "VOXGATE_REMOTE_PHP_SECRET": "whsec_php-secret"}
    settings = load({**PREVIEW, "JWT_SECRET": "a:first-secret,b:second-secret", "OPENAI_API_KEY": "short", **more})
    assert {"a:first-secret,b:second-secret", "first-secret", "second-secret"} <= set(settings.secrets)
    assert set(more.values()) <= set(settings.secrets)
    assert "short" not in settings.secrets


def test_a_password_in_a_url_is_not_shown() -> None:
    urls = {
        "VOXGATE_NATS_URL": "nats://ada:hunter2@a:4222,nats://hunter2@b:4222",
        "REMOTE_PHP_BASE": "https://u:hunter2@php.example",
        "VOXGATE_UPSTREAM": "wss://u:hunter2@models.example/rt",
    }
    table = load(urls).shown()
    assert "hunter2" not in json.dumps(table)
    assert table["VOXGATE_NATS_URL"] == "nats://…@a:4222,nats://…@b:4222"
    assert "VOXGATE_NATS_URL must not hold" in faults(urls)


@pytest.mark.parametrize("prefix", ["a.b", "a b", "a*", "x" * 65])
def test_a_prefix_that_can_begin_no_name_is_a_fault(prefix: str) -> None:
    assert "VOXGATE_NATS_PREFIX" in faults({"VOXGATE_NATS_PREFIX": prefix})


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"VOXGATE_NATS_USER": "ada"}, "VOXGATE_NATS_PASSWORD are set together"),
        ({"VOXGATE_NATS_PASSWORD": "pa55word"}, "VOXGATE_NATS_PASSWORD are set together"),
        (
            {"VOXGATE_NATS_USER": "ada", "VOXGATE_NATS_PASSWORD": "pa55word", "VOXGATE_NATS_CREDS": "x"},
            "VOXGATE_NATS_USER are two logins",
        ),
    ],
)
def test_there_is_one_login_to_nats_and_it_is_whole(environ: dict[str, str], named: str) -> None:
    listed = faults({"VOXGATE_NATS_URL": "nats://a:4222", **environ})
    assert named in listed
    assert "pa55word" not in listed


@pytest.mark.parametrize(
    ("name", "environ"),
    [
        ("VOXGATE_NATS_USER", {"VOXGATE_NATS_USER": "ada", "VOXGATE_NATS_PASSWORD": "pa55word"}),
        ("VOXGATE_NATS_CREDS", {"VOXGATE_NATS_CREDS": "x"}),
        ("VOXGATE_NATS_CA", {"VOXGATE_NATS_CA": "x"}),
        ("VOXGATE_NATS_REPLICAS", {"VOXGATE_NATS_REPLICAS": "3"}),
    ],
)
def test_what_is_for_a_cluster_needs_one(name: str, environ: dict[str, str]) -> None:
    assert f"{name} is for servers of your own" in faults(environ)
    assert faults({"VOXGATE_NATS_URL": "nats://a:4222", **environ}) == ""


def test_replicas_are_as_many_as_a_cluster_can_agree_with() -> None:
    url = {"VOXGATE_NATS_URL": "nats://a:4222"}
    assert [load({**url, "VOXGATE_NATS_REPLICAS": text}).nats_replicas for text in ("1", " 3 ", "5")] == [1, 3, 5]
    for text in ("2", "0", "-3", "many"):
        assert "VOXGATE_NATS_REPLICAS" in faults({**url, "VOXGATE_NATS_REPLICAS": text})


def test_every_setting_says_what_it_is_for() -> None:
    for name, field in Settings.model_fields.items():
        assert field.alias == str(field.alias).upper(), name
        assert field.description, name


def test_paths_and_flags_are_read_as_such() -> None:
    settings = load({"VOXGATE_DATA_DIR": "/var/lib/x", "ENABLE_WS_PROXY": "false"})
    assert settings.data_dir == Path("/var/lib/x")
    assert settings.enable_ws_proxy is False


def test_a_rate_without_bound_is_a_fault_and_not_an_error_later() -> None:
    with pytest.raises(ConfigurationError, match="VOXGATE_FANOUT_RATE"):
        load({"VOXGATE_FANOUT_RATE": "inf"})
