"""Targets: what they want, what keeps its order, what is wrong with them, and what nobody gets to see."""

import dataclasses
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import Event, VoxgateError
from voxgate_fanout.signing import new_secret, secret_key
from voxgate_fanout.targets import (
    MAX_OVERLAP,
    MAX_PATTERNS,
    MAX_SECRETS,
    MAX_TIMEOUT,
    Secret,
    Target,
    TargetState,
    is_target_name,
    live_secrets,
    matches,
    new_target,
    order_key,
    partition,
    rotate,
    shown,
    target_faults,
)

NOW = 1_764_108_300.0
SECRET = "whsec_" + "A" * 42 + "E="
OTHER = "whsec_" + "B" * 42 + "E="
EVENT = Event("evt_1", "/gateway", "voice.turn.completed", NOW, "ada", {"sessionId": "s1"})

words = st.text("ab-_0", min_size=1, max_size=3)
types = st.lists(words, min_size=1, max_size=4).map(".".join)
patterns = st.just("*") | types | types.map(lambda text: f"{text}.*")


def target(**changes: Any) -> Target:
    made = new_target(name="billing", url="https://billing.example/hooks?token=t0ken", now=NOW, secret=SECRET)
    return msgspec.structs.replace(made, **changes)


def wants(*events: str) -> Target:
    return target(events=events)


def faults(*, prod: bool = False, **changes: Any) -> list[str]:
    found = target_faults(target(**changes), prod=prod)
    assert not any(secret in fault for fault in found for secret in (SECRET, "t0ken", "hunter2"))
    return found


@pytest.mark.parametrize(
    ("pattern", "event_type", "does"),
    [
        ("*", "voice.turn.completed", True),
        ("*", "voxgate.target.disabled", True),
        ("voice.turn.completed", "voice.turn.completed", True),
        ("voice.turn", "voice.turn.completed", False),
        ("voice.turn.completed", "voice.turn", False),
        ("voice.*", "voice.turn", True),
        ("voice.*", "voice.turn.completed", True),
        ("voice.*", "voice", False),
        ("voice.*", "voices.turn", False),
        ("voice.turn.*", "voice.turns.completed", False),
    ],
)
def test_a_pattern_is_everything_one_type_or_all_below_a_word(pattern: str, event_type: str, does: bool) -> None:
    assert matches(wants(pattern), event_type) is does
    assert matches(wants("other", pattern), event_type) is does


@given(st.lists(patterns, max_size=4), types)
def test_patterns_match_word_by_word(events: list[str], event_type: str) -> None:
    def fits(pattern: str) -> bool:
        if pattern == "*":
            return True
        wanted, given = pattern.split("."), event_type.split(".")
        if wanted[-1] != "*":
            return wanted == given
        return len(given) >= len(wanted) and given[: len(wanted) - 1] == wanted[:-1]

    assert matches(wants(*events), event_type) is any(map(fits, events))


def test_a_target_that_does_not_care_for_order_has_no_key() -> None:
    assert order_key(target(), EVENT) is None


@pytest.mark.parametrize(
    ("order_by", "key"),
    [("subject", "ada"), ("source", "/gateway"), ("type", "voice.turn.completed"), ("/sessionId", "s1")],
)
def test_order_is_kept_by_an_attribute_or_a_value_of_the_data(order_by: str, key: str) -> None:
    assert faults(order_by=order_by) == []
    assert order_key(target(order_by=order_by), EVENT) == key


@pytest.mark.parametrize(
    ("pointer", "key"),
    [
        ("/a/b", "deep"),
        ("/list/0", "first"),
        ("/list/1/x", "7"),
        ("/list/2", ""),
        ("/list/-", ""),
        ("/list/00", ""),
        ("/list/-1", ""),
        ("/list/" + "9" * 5000, ""),
        ("/a~1b", "slash"),
        ("/m~0n", "tilde"),
        ("/~01", "order"),
        ("/", "empty name"),
        ("/a//b", ""),
        ("/true", "true"),
        ("/float", "1.5"),
        ("/null", ""),
        ("/a", ""),
        ("/list", ""),
        ("/text/0", ""),
        ("/absent/x", ""),
    ],
)
def test_a_pointer_leads_where_rfc_6901_says_and_what_is_no_scalar_shares_one_key(pointer: str, key: str) -> None:
    data = {
        "a": {"b": "deep"}, "list": ["first", {"x": 7}], "a/b": "slash", "m~n": "tilde", "~1": "order",
        "": "empty name", "true": True, "float": 1.5, "null": None, "text": "abc",
    }  # fmt: skip
    assert order_key(target(order_by=pointer), dataclasses.replace(EVENT, data=data)) == key


def test_events_without_a_subject_share_one_key() -> None:
    assert order_key(target(order_by="subject"), dataclasses.replace(EVENT, subject=None)) == ""


@pytest.mark.parametrize(
    ("key", "of_16", "of_1000"), [("", 4, 876), ("ada", 7, 351), ("s1", 4, 412), ("zoë 🎙", 8, 480), ("\ud800", 8, 464)]
)
def test_a_key_has_the_same_partition_in_every_process_and_version(key: str, of_16: int, of_1000: int) -> None:
    assert (partition(key, 16), partition(key, 1000)) == (of_16, of_1000)


@given(st.text(st.characters()), st.integers(1, 10_000))
def test_a_partition_is_one_of_those_there_are(key: str, partitions: int) -> None:
    assert 0 <= partition(key, partitions) < partitions


def test_keys_are_spread_evenly() -> None:
    counts = [0] * 16
    for number in range(16_000):
        counts[partition(f"session-{number}", 16)] += 1
    assert 850 < min(counts)
    assert max(counts) < 1150


def test_a_secret_signs_until_it_expires() -> None:
    both = target(secrets=(Secret(SECRET), Secret(OTHER, NOW)))
    assert [secret.value for secret in live_secrets(both, NOW - 1)] == [SECRET, OTHER]
    assert [secret.value for secret in live_secrets(both, NOW)] == [SECRET]


def test_a_rotation_puts_the_new_secret_first_and_lets_the_old_one_expire() -> None:
    rotated = rotate(target(), OTHER, NOW, 60.0)
    assert rotated.secrets == (Secret(OTHER), Secret(SECRET, NOW + 60.0))
    assert target_faults(rotated, prod=True) == []
    assert rotate(target(), OTHER, NOW, 0.0).secrets == (Secret(OTHER),)


def test_a_rotation_never_lengthens_the_life_of_a_secret_and_forgets_spent_ones() -> None:
    once = rotate(target(), OTHER, NOW, 60.0)
    assert rotate(once, new_secret(), NOW + 1, 3600.0).secrets[1:] == (
        Secret(OTHER, NOW + 3601),
        Secret(SECRET, NOW + 60),
    )
    assert rotate(once, new_secret(), NOW + 60, 3600.0).secrets[1:] == (Secret(OTHER, NOW + 3660),)


def test_a_rotation_to_a_secret_that_is_there_keeps_it_once() -> None:
    once = rotate(target(), OTHER, NOW, 60.0)
    assert rotate(once, SECRET, NOW + 1, 60.0).secrets == (Secret(SECRET), Secret(OTHER, NOW + 61))


@given(st.lists(st.floats(0, MAX_OVERLAP), min_size=1, max_size=8))
def test_however_often_a_secret_rotates_the_newest_signs_and_few_are_kept(overlaps: list[float]) -> None:
    rotated = target()
    for overlap in overlaps:
        newest = new_secret()
        rotated = rotate(rotated, newest, NOW, overlap)
        assert rotated.secrets[0] == Secret(newest)
        assert target_faults(rotated, prod=True) == []


@pytest.mark.parametrize("overlap", [-1.0, MAX_OVERLAP + 1, math.nan, math.inf])
def test_a_rotation_to_nonsense_is_refused_with_every_fault(overlap: float) -> None:
    with pytest.raises(VoxgateError, match="invalid_input") as caught:
        rotate(target(), "hunter2", NOW, overlap)
    assert set(caught.value.details or {}) == {"secret", "overlap"}
    assert "hunter2" not in str(caught.value.details)


def test_a_new_target_has_an_id_of_its_own_and_a_secret() -> None:
    made = [new_target(name="a", url="https://a.example", now=NOW) for _ in range(50)]
    assert len({one.id for one in made}) == len({one.secrets for one in made}) == 50
    assert all(one.id.startswith("tgt_") and len(one.id) == 16 for one in made)
    assert {len(secret_key(one.secrets[0].value)) for one in made} == {32}
    assert [target_faults(one, prod=True) for one in made] == [[]] * 50
    assert target().secrets == (Secret(SECRET),)


def test_no_repr_shows_a_secret() -> None:
    rotated = rotate(target(), OTHER, NOW, 60.0)
    for text in (repr(rotated), str(rotated.secrets), repr(rotated.secrets[0].__rich_repr__())):
        assert "whsec_" not in text
        assert "expires_at" in text


def test_a_target_is_stored_and_read_back_whole() -> None:
    rotated = rotate(target(rate=2.5, order_by="/sessionId"), OTHER, NOW, 60.0)
    assert msgspec.json.decode(msgspec.json.encode(rotated), type=Target) == rotated


def test_what_is_shown_is_json_and_holds_of_the_secrets_a_fingerprint_alone() -> None:
    rotated = rotate(target(), OTHER, NOW, 60.0)
    state = TargetState("answered 410", NOW, NOW - 5)
    listed = shown(rotated, state)
    assert listed == {
        "id": rotated.id,
        "name": "billing",
        "url": "https://billing.example/hooks?token=t0ken",
        "events": ["*"],
        "secret": {"fingerprint": "b199ef7f", "count": 2},
        "timeout": 15.0,
        "rate": None,
        "concurrency": 8,
        "orderBy": None,
        "managedBy": "api",
        "createdAt": NOW,
        "disabled": "answered 410",
        "disabledAt": NOW,
        "failingSince": NOW - 5,
    }
    assert b"whsec_" not in msgspec.json.encode(listed)
    assert shown(target(secrets=()), TargetState())["secret"] == {"fingerprint": None, "count": 0}


def test_a_sound_target_has_no_faults() -> None:
    assert faults(prod=True) == []
    assert faults(
        prod=True, events=("voice.*", "a-b_c.0", "voxgate.*"), timeout=1.0, rate=0.001, concurrency=64,
        order_by="/a~0/0",
    ) == []  # fmt: skip


@pytest.mark.parametrize("name", ["a", "0", "a-b-", "a" * 48])
def test_a_name_is_lower_case_and_short(name: str) -> None:
    assert is_target_name(name)
    assert faults(name=name) == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""}, {"id": "a" * 65}, {"id": "a.b"}, {"id": "a\n"},
        {"name": ""}, {"name": "-a"}, {"name": "a" * 49}, {"name": "A"}, {"name": "a_b"}, {"name": "a\n"},
        {"events": ()}, {"events": ("a",) * (MAX_PATTERNS + 1)}, {"events": ("",)}, {"events": ("a.",)},
        {"events": ("*.a",)}, {"events": ("a*",)}, {"events": ("a.*.b",)}, {"events": ("**",)}, {"events": ("A",)},
        {"events": ("a.*\n",)}, {"events": ("a" * 131,)},
        {"timeout": 0.9}, {"timeout": MAX_TIMEOUT + 0.1}, {"timeout": math.nan}, {"timeout": math.inf},
        {"rate": 0.0}, {"rate": -1.0}, {"rate": 0.0009}, {"rate": math.nan}, {"rate": math.inf},
        {"concurrency": 0}, {"concurrency": 65},
        {"secrets": ()}, {"secrets": (Secret(SECRET),) * (MAX_SECRETS + 1)}, {"secrets": (Secret("hunter2"),)},
        {"secrets": (Secret(SECRET, NOW),)},
        {"order_by": ""}, {"order_by": "time"}, {"order_by": "a/b"}, {"order_by": "/a~2"}, {"order_by": "/~"},
        {"order_by": "/" + "a" * 256},
    ],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
def test_a_fault_begins_with_its_field(change: dict[str, Any]) -> None:
    (fault,) = faults(**change)
    assert fault.startswith(f"{next(iter(change))}")


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example", "https://a.example/", "https://a.example:8443/x?y=%20", "https://[2001:db8::1]:1/",
        "HTTPS://A.EXAMPLE/", "https://xn--bcher-kva.example/a", "https://a_b.example", "https://10.0.0.1/",
    ],
)  # fmt: skip
def test_an_https_url_is_sound_everywhere(url: str) -> None:
    assert faults(url=url, prod=True) == []


@pytest.mark.parametrize("prod", [True, False])
@pytest.mark.parametrize(
    "url",
    [
        "", "a.example", "/hooks", "//a.example/", "ftp://a.example/", "https:a.example", "https:///x", "https://:443/",
        "https://hunter2@a.example/", "https://u:hunter2@a.example/", "https://@a.example/", "https://a.example/#x",
        "https://a.example/#", "https://a.example:0/", "https://a.example:65536/", "https://a.example:x/",
        "https://[::1/", "https://::1/", "https://[fe80::1%25eth0]/", "https://b\u00fccher.example/",
        "https://a.example/ x",
        " https://a.example/", "https://a.example/\n", "https://a.exa\tmple/", "https://a.example\\@b.example/",
        "https://a%2eexample/", "https://[v1.x]/", "https://a.example/" + "x" * 2048, "file:///etc/passwd",
    ],
)  # fmt: skip
def test_a_url_that_could_lead_elsewhere_is_refused_everywhere(url: str, prod: bool) -> None:
    assert faults(url=url, prod=prod)
    assert all(fault.startswith("url must") for fault in faults(url=url, prod=prod))


def test_plain_http_is_for_everywhere_but_prod() -> None:
    assert faults(url="http://localhost:8000/") == []
    assert faults(url="http://localhost:8000/", prod=True) == ["url must begin with https:// in prod"]


def test_all_faults_are_listed() -> None:
    found = faults(
        name="A", url="ftp://hunter2@a.example:0/#x", events=("A", "b", "C"), timeout=0.0, rate=0.0, concurrency=0,
        secrets=(Secret("hunter2", NOW),), order_by="x", id="a.b",
    )  # fmt: skip
    assert [fault.split()[0].rstrip(":") for fault in found] == [
        "id", "name", "url", "url", "url", "url", "events", "events", "timeout", "rate", "concurrency", "secrets",
        "secrets", "order_by",
    ]  # fmt: skip


@given(st.text() | st.from_regex(r"https?://[^ ]*", fullmatch=True))
def test_any_text_is_judged_as_a_url_and_none_is_repeated(url: str) -> None:
    assert all(len(fault) < 120 for fault in target_faults(target(url=url), prod=True))
