import pytest

from tests.gateway.rig import PREVIEW
from voxgate_core import ConfigurationError
from voxgate_gateway import Gateway, compose, load
from voxgate_realtime import Dialect

ENGINE = "ws://127.0.0.1:9/v1/realtime"
PROD = {**PREVIEW, "VOXGATE_ENV": "prod", "VOXGATE_UPSTREAM": "wss://model.example/v1/realtime"}


def composed(environ: dict[str, str], engine_url: str | None = ENGINE) -> Gateway:
    return compose(load(environ), engine_url=engine_url)


def faults(environ: dict[str, str], engine_url: str | None = ENGINE) -> str:
    with pytest.raises(ConfigurationError) as refused:
        composed(environ, engine_url)
    return "\n".join(refused.value.faults)


def test_dev_makes_what_it_needs_and_says_so() -> None:
    gateway = composed({})
    assert gateway.dev_key is not None
    assert gateway.dev_key not in repr(gateway)
    said = " ".join(gateway.made)
    for name in ("ALLOWED_ORIGINS", "JWT_SECRET", "VOXGATE_API_KEYS", "ALLOW_REMOTE_PHP_FANOUT"):
        assert name in said


def test_what_is_set_is_not_made_up() -> None:
    own = {"VOXGATE_UPSTREAM": "wss://model.example/v1/realtime", "VOXGATE_FANOUT_STUB": "off"}
    gateway = composed({**PREVIEW, **own})
    assert (gateway.made, gateway.dev_key) == ((), None)


def test_a_gateway_that_is_only_judged_delivers_nothing() -> None:
    assert composed(dict(PREVIEW)).fanout is None


def test_a_sound_prod_configuration_starts() -> None:
    (made,) = composed(PROD).made
    assert "the local stub takes voice events" in made


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ALLOWED_ORIGINS": "http://localhost:3000"}, "localhost"),
        ({"ALLOWED_ORIGINS": "https://127.0.0.1"}, "127.0.0.1"),
        ({"ALLOWED_ORIGINS": "https://*.example.com"}, "*.example.com"),
        ({"JWT_SECRET": "k:short"}, "JWT_SECRET"),
        ({"JWT_SECRET": "k:" + "hQ7vN2xk" * 5 + ",k:" + "Zp4mWc9T" * 5}, "JWT_SECRET"),
        ({"VOXGATE_API_KEYS": "nonsense"}, "VOXGATE_API_KEYS"),
        ({"VOXGATE_UPSTREAM": "openai"}, "OPENAI_API_KEY"),
        ({"VOXGATE_UPSTREAM": "azure"}, "AZURE_OPENAI_ENDPOINT"),
        ({"VOXGATE_UPSTREAM": "gopher://x"}, "VOXGATE_UPSTREAM"),
        ({"VOXGATE_QUOTA_SUBJECT": "lots"}, "VOXGATE_QUOTA_SUBJECT"),
        ({"VOXGATE_PUBLIC_URL": "https://u:p@x"}, "VOXGATE_PUBLIC_URL"),
        ({"ALLOW_REMOTE_PHP_FANOUT": "on"}, "REMOTE_PHP_BASE"),
        ({"VOXGATE_FANOUT_ALLOW_NETS": "lots"}, "VOXGATE_FANOUT_ALLOW_NETS"),
        ({"VOXGATE_FANOUT_FILE": "/nowhere/fanout.toml"}, "VOXGATE_FANOUT_FILE"),
        ({"VOXGATE_NATS_SYNC": "sometimes"}, "VOXGATE_NATS_SYNC"),
        ({"VOXGATE_NATS_URL": "http://nats:4222"}, "VOXGATE_NATS_URL"),
        ({"VOXGATE_NATS_URL": "nats://nats:4222", "VOXGATE_NATS_CREDS": "/nowhere/x.creds"}, "/nowhere/x.creds"),
    ],
)
def test_prod_refuses_to_start_on_a_fault(change: dict[str, str], named: str) -> None:
    assert named in faults({**PROD, **change})


def test_the_faults_of_every_part_come_in_one_message() -> None:
    listed = faults(
        {
            **PROD,
            "ALLOWED_ORIGINS": "http://localhost:1",
            "JWT_SECRET": "k:short",
            "VOXGATE_UPSTREAM": "openai",
            "VOXGATE_QUOTA_ADDRESS": "x",
            "VOXGATE_PUBLIC_URL": "gopher://x",
            "VOXGATE_NATS_SYNC": "x",
            "VOXGATE_FANOUT_ALLOW_NETS": "x",
            "ALLOW_REMOTE_PHP_FANOUT": "on",
        }
    )
    for name in (
        "localhost", "JWT_SECRET", "OPENAI_API_KEY", "VOXGATE_QUOTA_ADDRESS", "VOXGATE_PUBLIC_URL", "VOXGATE_NATS_SYNC",
        "VOXGATE_FANOUT_ALLOW_NETS", "REMOTE_PHP_BASE",
    ):  # fmt: skip
        assert name in listed


@pytest.mark.parametrize("secret", ["k:" + "changeme" * 5, "k:" + "a" * 40])
def test_prod_refuses_a_secret_that_is_no_secret(secret: str) -> None:
    assert "JWT_SECRET, entry 1" in faults({**PROD, "JWT_SECRET": secret})


def test_the_engine_upstream_needs_an_engine() -> None:
    assert "engine" in faults({}, engine_url=None)


@pytest.mark.parametrize(
    ("upstream", "extra", "url"),
    [
        ("engine", {}, ENGINE),
        ("openai", {"OPENAI_API_KEY": "sk-x"}, "wss://api.openai.com/v1/realtime"),
        (
            "azure",
            {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"},
            "wss://r.openai.azure.com/openai/v1/realtime",
        ),
        ("wss://models.example.com/rt", {"VOXGATE_UPSTREAM_KEY": "k"}, "wss://models.example.com/rt"),
    ],
)
def test_each_upstream_is_reached_where_it_is(upstream: str, extra: dict[str, str], url: str) -> None:
    gateway = composed({"VOXGATE_UPSTREAM": upstream, "VOXGATE_MODELS": "a,b", **extra})
    assert gateway.realtime.context.upstream.url == url
    assert gateway.realtime.context.upstream.models == frozenset({"a", "b"})


@pytest.mark.parametrize(
    ("setting", "single_use"),
    [("native", {Dialect.NATIVE}), ("all", set(Dialect)), ("none", set())],
)
def test_where_a_token_opens_one_session_is_a_setting(setting: str, single_use: set[Dialect]) -> None:
    gateway = composed({"VOXGATE_TOKEN_SINGLE_USE": setting})
    assert gateway.realtime.context.single_use == single_use


def test_oidc_callers_are_added_when_set() -> None:
    oidc = {
        "VOXGATE_OIDC_ISSUER": "https://id.example",
        "VOXGATE_OIDC_AUDIENCE": "voxgate",
        "VOXGATE_OIDC_JWKS_URL": "https://id.example/jwks",
    }
    composed({**PROD, **oidc})
    assert "VOXGATE_OIDC_JWKS_URL" in faults({**PROD, **oidc, "VOXGATE_OIDC_JWKS_URL": "http://id.example/jwks"})
