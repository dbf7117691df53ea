from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import ConfigurationError
from voxgate_observability.retention.policy import (
    AUDIT_FLOOR_SECONDS,
    FilePolicy,
    RecordKind,
    RecordPolicy,
    RetentionConfig,
    parse_config,
)

DAY = 86_400


def parsed(text: str) -> RetentionConfig:
    return parse_config(text, data_dir="/srv/voxgate", home="/people/ann")


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        parsed(text)
    return refused.value.faults


def with_path(path: str) -> str:
    return f"[policies.a]\npath = '{path}'\nmax_age = '1d'\n"


def test_every_setting_is_read() -> None:
    config = parsed("""
        time_limit = "1m"
        [policies.temp]
        kind = "files"
        path = "tmp"
        pattern = "*.part"
        recursive = true
        max_age = "1d"
        max_total_size = "2GiB"
        max_count = 9
        min_keep = 2
        grace = "5m"
        max_share = 1
        remove_empty_directories = true
        remove_symlinks = true
        [policies.talks]
        kind = "conversations"
        max_age = "30d"
        max_share = 0.25
    """)
    assert config == RetentionConfig(
        (
            FilePolicy(
                "temp", "/srv/voxgate/tmp", "*.part", True, DAY, 2 * 1024**3, 9, 2, 300, 1.0, True, True
            ),
            RecordPolicy("talks", RecordKind.CONVERSATIONS, 30 * DAY, 0.25),
        ),
        time_limit=60,
    )  # fmt: skip


def test_what_is_left_out_is_the_careful_choice() -> None:
    (policy,) = parsed("[policies.a]\npath = '/var/log/voxgate/'\nmax_count = 5").policies
    assert policy == FilePolicy("a", "/var/log/voxgate", max_count=5)
    assert isinstance(policy, FilePolicy)
    assert not policy.recursive
    assert not policy.remove_symlinks
    assert policy.grace == 60
    assert policy.max_share == 0.5


def test_every_fault_is_told_at_once() -> None:
    told = faults("""
        limit = 3
        time_limit = "0s"
        [policies.Bad_Name]
        path = "tmp"
        [policies.b]
        path = "/"
        max_age = 30
        max_total_size = "2G"
        max_count = true
        min_keep = -1
        max_share = 0
        pattern = "a/b"
        recursive = "yes"
        remove_empty_directories = true
        colour = "red"
        [policies.c]
        kind = "records"
        [policies.d]
        kind = "audit"
        max_age = "364d"
        [policies.e]
        kind = "conversations"
        path = "x"
    """)
    for part in (
        "'limit' is not a setting; there are policies, time_limit",
        "time_limit must be longer than nothing",
        "policies.Bad_Name: a name is 1 to 48",
        "policies.Bad_Name: set max_age, max_total_size or max_count",
        "policies.b: path '/' is the root",
        "policies.b: max_age must be a whole number with s, m, h, d or w",
        "policies.b: max_total_size must be a whole number with B",
        "policies.b: max_count must be a whole number, 0 or more",
        "policies.b: min_keep must be",
        "policies.b: max_share must be a share above 0",
        "policies.b: pattern must be a pattern for names",
        "policies.b: recursive must be true or false",
        "policies.b: remove_empty_directories needs recursive",
        "policies.b: 'colour' is not a setting",
        "policies.c: kind must be files or conversations or audit",
        "policies.d: max_age is below the floor of audit lines, 365d",
        "policies.e: set max_age",
        "policies.e: 'path' is not a setting",
    ):
        assert any(part in fault for fault in told), part


@pytest.mark.parametrize("text", ["", "time_limit = '5m'", "policies = 3", "[[policies]]\nname = 'a'"])
def test_no_policy_is_a_fault(text: str) -> None:
    assert any("policies" in fault for fault in faults(text))


def test_a_policy_that_is_no_table_is_a_fault() -> None:
    assert faults("[policies]\na = 3") == ("policies.a must be a table: write [policies.a]",)


def test_more_policies_than_are_read_is_a_fault() -> None:
    text = "".join(f"[policies.p{number}]\npath = 'tmp'\nmax_age = '1d'\n" for number in range(101))
    assert faults(text) == ("retention.toml names 101 policies; at most 100 are read",)


def test_what_is_no_toml_is_one_fault() -> None:
    (told,) = faults("[policies")
    assert "not TOML" in told


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "//", "/.", "/tmp", "/srv", "/people", "/people/ann", "/people/ann/", "/srv/voxgate", "/srv/./voxgate", ".", "./",
        "~/x", "tmp/../..", "/var/log/../../etc/x", "/etc/cron.d", "/usr/share/doc", "/proc/self", "/dev/disk", "/sys/fs",
        "nats", "nats/jetstream", "/srv/voxgate/nats", "retention", "a\\u0000b",
    ],
)  # fmt: skip
def test_a_dangerous_path_is_refused(path: str) -> None:
    text = with_path(path) if "\\u" not in path else with_path(path).replace("'", '"')
    (told,) = faults(text)
    assert told.startswith("policies.a: path ")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("tmp", "/srv/voxgate/tmp"), ("natsy", "/srv/voxgate/natsy"), ("/dev/shm/voxgate", "/dev/shm/voxgate"),
        ("/people/ann/voxgate/tmp", "/people/ann/voxgate/tmp"), ("/tmp/voxgate", "/tmp/voxgate"),
    ],
)  # fmt: skip
def test_an_ordinary_path_is_let_in(written: str, meant: str) -> None:
    (policy,) = parsed(with_path(written)).policies
    assert isinstance(policy, FilePolicy)
    assert policy.path == meant


def test_the_floor_of_audit_lines_holds_even_past_the_configuration() -> None:
    sly = RecordPolicy("audit", RecordKind.AUDIT, max_age=1)
    assert sly.cutoff(now=1e9) == 1e9 - AUDIT_FLOOR_SECONDS
    assert RecordPolicy("talks", RecordKind.CONVERSATIONS, max_age=1).cutoff(now=1e9) == 1e9 - 1


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"), [("*.log.*", "a.log.1", "a.log"), ("[ab]?", "a1", "c1"), ("A*", "Ab", "ab")]
)
def test_a_pattern_is_matched_as_a_shell_would(pattern: str, fitting: str, other: str) -> None:
    fits = FilePolicy("a", "/x/y", pattern).matcher()
    assert fits is not None
    assert fits(fitting)
    assert not fits(other)


VALUES = st.one_of(
    st.text(max_size=5), st.integers(-3, 3), st.booleans(), st.floats(-1, 2), st.sampled_from(["1d", "tmp", "audit"])
)


@given(st.dictionaries(st.sampled_from([*FilePolicy.__dataclass_fields__, "kind"]), VALUES))
def test_any_table_is_read_or_refused_with_sentences(table: dict[str, Any]) -> None:
    def toml(value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
        return repr(value)

    text = "[policies.a]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
    told: tuple[str, ...] = ()
    try:
        parsed(text)
    except ConfigurationError as refused:
        told = refused.faults or ("refused without a word",)
    assert all(fault.startswith("policies.a: ") for fault in told)
