"""The file of targets: read whole, and told everything that is wrong with it at once."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import ConfigurationError
from voxgate_fanout.targets import MAX_TARGETS, Secret, Target
from voxgate_fanout.targets_file import read_targets_file

SECRET = "whsec_" + "A" * 42 + "E="
OTHER = "whsec_" + "B" * 42 + "E="
ENVIRON = {"HOOK": f"{SECRET}, {OTHER}", "EMPTY": " ", "BAD": "hunter2"}
BILLING = f'[[target]]\nname = "billing"\nurl = "https://billing.example/hooks"\nsecret = "{SECRET}"\n'


def faults(text: str, environ: Mapping[str, str] = ENVIRON, *, prod: bool = False) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_targets_file(text, environ, prod=prod)
    for secret in (SECRET, OTHER, "hunter2"):
        assert secret not in str(caught.value)
    return list(caught.value.faults)


def table(lines: str) -> list[str]:
    """The faults of one table, without what all of them begin with."""
    found = faults(BILLING + lines)
    assert all(fault.startswith("fanout.toml: target 1 (billing): ") for fault in found)
    return [fault.removeprefix("fanout.toml: target 1 (billing): ") for fault in found]


def test_an_empty_file_has_no_targets() -> None:
    assert read_targets_file("# nobody yet\n", {}, prod=True) == ()


def test_a_target_needs_a_name_a_url_and_a_secret() -> None:
    assert read_targets_file(BILLING, {}, prod=True) == (
        Target(
            id="file-billing",
            name="billing",
            url="https://billing.example/hooks",
            secrets=(Secret(SECRET),),
            managed_by="file",
            created_at=0.0,
        ),
    )


def test_every_setting_is_read() -> None:
    text = f"""
        [[target]]
        name = "crm"
        url = "http://127.0.0.1:9000/"
        events = ["voice.*", "order.paid"]
        secrets = ["{OTHER}", "{SECRET}"]
        timeout = 5
        rate = 0.5
        concurrency = 1
        order_by = "/sessionId"
        [[target]]
        name = "stand-in"
        url = "https://a.example"
        secret_env = "HOOK"
    """
    crm, second = read_targets_file(text, ENVIRON, prod=False)
    assert (crm.id, crm.events, crm.secrets) == ("file-crm", ("voice.*", "order.paid"), (Secret(OTHER), Secret(SECRET)))
    assert (crm.timeout, crm.rate, crm.concurrency, crm.order_by) == (5.0, 0.5, 1, "/sessionId")
    assert (second.id, second.secrets) == ("file-stand-in", (Secret(SECRET), Secret(OTHER)))


def test_prod_wants_https() -> None:
    text = BILLING.replace("https:", "http:")
    assert len(read_targets_file(text, {}, prod=False)) == 1
    assert faults(text, prod=True) == ["fanout.toml: target 1 (billing): url must begin with https:// in prod"]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("timeout = true", "timeout must be a number of seconds"),
        ("timeout = '5'", "timeout must be a number of seconds"),
        ("timeout = 26", "timeout must be 1 to 25 seconds"),
        ("rate = nan", "rate must be 0.001 deliveries per second or more"),
        (f"rate = {'9' * 400}", "rate must be a number of deliveries per second"),
        ("concurrency = 1.5", "concurrency must be a whole number"),
        (f"concurrency = {'9' * 400}", "concurrency must be 1 to 64"),
        ("events = 'voice.*'", "events must be a list of patterns"),
        ("events = [1]", "events must be a list of patterns"),
        ("events = []", "events must be 1 to 64 patterns"),
        ("order_by = 1979-05-27", "order_by must be a text"),
        (f"'{SECRET}' = 1", "a setting is unknown"),
        ("orderby = 'type'", "orderby is unknown"),
        ("secret_env = 'HOOK'", "exactly one of secret, secrets and secret_env must be given"),
    ],
)
def test_a_wrong_setting_is_told_what_it_must_be(lines: str, fault: str) -> None:
    (found,) = table(lines)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("", "exactly one of secret"),
        ("secret = 5", "secret must be a text"),
        ("secret = 'hunter2'", "secrets: number 1 is wrong: a secret is whsec_ and base64"),
        (f"secrets = '{SECRET}'", "secrets must be a list of texts"),
        ("secrets = []", "secrets must be 1 to 4"),
        (f"secrets = ['{SECRET}', 'hunter2']", "secrets: number 2 is wrong"),
        ("secret_env = ['HOOK']", "secret_env must be a text"),
        ("secret_env = 'ABSENT'", "the environment variable ABSENT is not set"),
        ("secret_env = 'EMPTY'", "the environment variable EMPTY is not set"),
        ("secret_env = 'BAD'", "secrets: number 1 is wrong"),
        (f"secret_env = '{SECRET}'", "secret_env must be the name of an environment variable"),
        ("secret_env = 'hunter2'", "secret_env must be the name of an environment variable"),
    ],
)
def test_a_secret_is_given_in_one_way_and_a_wrong_one_is_not_repeated(setting: str, fault: str) -> None:
    text = BILLING.replace(f'secret = "{SECRET}"', setting)
    (found,) = faults(text)
    assert found.startswith(f"fanout.toml: target 1 (billing): {fault}")


def test_every_fault_of_every_table_is_listed_by_its_number_and_name() -> None:
    text = """
        colour = "red"
        [[target]]
        name = "no good"
        url = "ftp://u:hunter2@a.example/"
        secret = "hunter2"
        timeout = "long"
        [[target]]
        name = "crm"
        concurrency = 0
    """
    assert faults(text) == [
        "fanout.toml: colour is unknown; only [[target]] tables are read",
        "fanout.toml: target 1: timeout must be a number of seconds",
        "fanout.toml: target 1: name must be 1 to 48 of a-z, 0-9 and -, and not begin with -",
        "fanout.toml: target 1: url must begin with https:// or http://",
        "fanout.toml: target 1: url must not hold a user or a password; deliveries are signed instead",
        "fanout.toml: target 1: secrets: number 1 is wrong: a secret is whsec_ and base64 of 24 to 64 bytes",
        "fanout.toml: target 2 (crm): url is missing",
        "fanout.toml: target 2 (crm): exactly one of secret, secrets and secret_env must be given",
        "fanout.toml: target 2 (crm): concurrency must be 1 to 64",
    ]


def test_a_table_with_nothing_in_it_is_told_what_it_lacks() -> None:
    assert [fault.removeprefix("fanout.toml: target 1: ") for fault in faults("[[target]]")] == [
        "name is missing",
        "url is missing",
        "exactly one of secret, secrets and secret_env must be given",
    ]


def test_two_targets_never_share_a_name() -> None:
    for name in ("billing", "stand-in"):
        (fault,) = faults(2 * BILLING.replace("billing", name, 1))
        assert fault == f"fanout.toml: target 2 ({name}): name is that of target 1 already; each needs its own"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("target = [", "fanout.toml: can't be read as TOML at end of document"),
        ("name = hunter2", "fanout.toml: can't be read as TOML at line 1, column 8"),
        (f"['{SECRET}']\n['{SECRET}']", "fanout.toml: can't be read as TOML at line 2, column 54"),
        (f"x = {'9' * 5000}", "fanout.toml: can't be read as TOML"),
        (f"x = {'[' * 5000}", "fanout.toml: can't be read as TOML"),
        ("[target]\nname = 'a'", "fanout.toml: target must be a list; write [[target]] above each"),
        ("target = 'a'", "fanout.toml: target must be a list; write [[target]] above each"),
        ("target = ['a']", "fanout.toml: target 1: must be a table; write [[target]] above it"),
    ],
)
def test_a_file_that_is_not_such_a_file_is_told_where(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_there_is_an_end_to_how_many_targets_are_read() -> None:
    tables = [BILLING.replace("billing", f"t{number}", 1) for number in range(MAX_TARGETS + 1)]
    assert len(read_targets_file("".join(tables[:-1]), {}, prod=True)) == MAX_TARGETS
    assert faults("".join(tables)) == ["fanout.toml: holds 1001 targets; 1000 at most are allowed"]


@given(st.text(max_size=200) | st.text("[]target='\"\n.x1", max_size=60))
def test_any_text_is_read_or_refused_with_sentences(text: str) -> None:
    try:
        read_targets_file(text, {}, prod=True)
    except ConfigurationError as error:
        if not all(fault.startswith("fanout.toml: ") for fault in error.faults):
            raise
