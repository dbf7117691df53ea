from datetime import date

import jsonschema
import pytest

from voxgate_gates.configuration import Configuration, ConfigurationError, _schema, parse_configuration
from voxgate_gates.target import Budgets, Routes
from voxgate_gates.waivers import Waiver

TODAY = date(2026, 11, 26)
CHECKS = ("security.token-ttl", "data.parity")
PLANTED = "vk_planted-in-the-wrong-place"

WHOLE = """
[target]
url = "https://voice.example.com"
environment = "prod"
origin = "https://app.example.com"
other_origin = "https://admin.example.com"

[credentials]
key_env = "VOXGATE_GATE_VOICE_KEY"
issuer_key_env = "VOXGATE_GATE_VOICE_ISSUER_KEY"
php_key_env = "VOXGATE_GATE_OTHER_PHP_KEY"

[php]
shim = "php"
base = "https://php.example.com"

[routes]
token = "/auth/voice"
client_secrets = false

[budgets]
first_audio_ms = 800
fanout_seconds = 1.5

[run]
only = ["security", "data.parity"]
profile = "readonly"
strict = true

[[waiver]]
check = "security.token-ttl"
owner = "Ada"
reason = "the old app asks for an hour"
expires = 2026-12-24

[[waiver]]
check = "data.parity"
owner = "Grace"
reason = "PHP is being moved"
expires = "2027-01-31"
"""


def parse(text: str) -> Configuration:
    return parse_configuration(text, CHECKS, TODAY)


def test_every_setting_is_read() -> None:
    assert parse(WHOLE) == Configuration(
        url="https://voice.example.com",
        environment="prod",
        origin="https://app.example.com",
        other_origin="https://admin.example.com",
        key_env="VOXGATE_GATE_VOICE_KEY",
        issuer_key_env="VOXGATE_GATE_VOICE_ISSUER_KEY",
        php_key_env="VOXGATE_GATE_OTHER_PHP_KEY",
        php_shim="php",
        php_base="https://php.example.com",
        routes=Routes(token="/auth/voice", client_secrets=""),
        budgets=Budgets(first_audio_ms=800, fanout_seconds=1.5),
        only=("security", "data.parity"),
        profile="readonly",
        strict=True,
        waivers=(
            Waiver("security.token-ttl", "Ada", "the old app asks for an hour", date(2026, 12, 24)),
            Waiver("data.parity", "Grace", "PHP is being moved", date(2027, 1, 31)),
        ),
    )


def test_an_empty_file_changes_nothing() -> None:
    assert parse("") == Configuration()


def waiver(**changed: str) -> str:
    row = {"check": "data.parity", "owner": "Ada", "reason": "it is being moved", "expires": "2026-12-24", **changed}
    return "[[waiver]]\n" + "\n".join(f'{name} = "{value}"' for name, value in row.items())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[target", "it is not TOML"),
        ("[taget]", "the file holds a setting that is not known; known are budgets, credentials, php, routes"),
        (f'[target]\nkey = "{PLANTED}"', "target holds a setting that is not known; known are environment, origin"),
        ("target = 1", "target must be a table: which deployment is judged"),
        ('[target]\nenvironment = "live"', "target.environment must be one of dev, preview, prod"),
        (f'[credentials]\nkey_env = "{PLANTED}"', "credentials.key_env must be the name of the environment variable"),
        ('[routes]\ntoken = "auth"', "routes.token must be a path that begins with a slash, or false"),
        ("[routes]\ntoken = true", "routes.token must be a path that begins with a slash, or false"),
        ('[routes]\ntoken = "/a b"', "routes.token must be a path"),
        ("[budgets]\nfirst_audio_ms = 0", "budgets.first_audio_ms must be a number of milliseconds from 1 to 10000"),
        ('[budgets]\nfanout_seconds = "5"', "budgets.fanout_seconds must be a number of seconds from 0.1 to 10"),
        ("[run]\nonly = []", "run.only must be a list of gates"),
        ("[run]\nonly = [1]", "run.only.1 must be a gate or the id of a check"),
        ('[run]\nstrict = "yes"', "run.strict must be true or false"),
        ('[[waiver]]\ncheck = "data.parity"', "waiver.1 lacks a setting; wanted is a table with check, owner, reason"),
        (waiver(owner=""), "waiver.1.owner must be who answers for it"),
        (waiver(reason="later"), "waiver.1.reason must be why, in a sentence of at least ten characters"),
        (waiver(expires="soon"), "waiver.1.expires must be a date, such as 2027-01-31"),
        (waiver(expires="2026-13-01"), "waiver.1.expires must be a date"),
        (waiver(expires="2027-02-25"), "waiver 1: expires must be a day within 90 days of today"),
        (waiver(check="data.nothing"), "waiver 1: there is no check of that id; `voxgate gates --list` shows them"),
        (waiver() + "\n" + waiver(), "waiver 2: data.parity is waived twice"),
    ],
)
def test_a_fault_is_told_with_its_place_and_without_its_value(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert told in str(caught.value)
    assert PLANTED not in str(caught.value)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(_schema())


def test_every_route_and_budget_there_is_can_be_set() -> None:
    properties = _schema()["properties"]
    assert set(properties["routes"]["properties"]) == set(Routes.__dataclass_fields__)
    assert set(properties["budgets"]["properties"]) == set(Budgets.__dataclass_fields__)


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "JWT_SECRET", "XVOXGATE_GATE_KEY", "VOXGATE_GATE_"]
)
def test_a_file_can_ask_for_no_variable_that_is_not_a_key_of_the_gates(name: str) -> None:
    with pytest.raises(ConfigurationError, match="begins with VOXGATE_GATE_"):
        parse(f'[credentials]\nkey_env = "{name}"')


@pytest.mark.parametrize("escape", ["\\u001b]0;owned\\u0007", "\\u009b31m", "\\u202e"])
def test_a_file_can_write_nothing_that_a_terminal_obeys(escape: str) -> None:
    with pytest.raises(ConfigurationError, match="control character"):
        parse(f'[run]\nonly = ["{escape}"]')


def test_a_file_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="too deep"):
        parse("a = " + "[" * 10_000)
