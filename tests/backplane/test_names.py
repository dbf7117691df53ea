import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxgate_backplane.names import MAX_KEY, MAX_TOKEN, Names, check_key, check_token

HOSTILE = [
    "",
    " ",
    "*",
    ">",
    "a.*",
    "a.>",
    "a b",
    "a\tb",
    "a\r\nPING",
    "a\n",
    "\x00",
    "ä",
    "a\u2028",
    "$JS",
    "a,b",
    "a\\b",
]


@pytest.mark.parametrize("key", [*HOSTILE, ".", "a.", ".a", "a..b", "x" * (MAX_KEY + 1)])
def test_a_hostile_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="a key has at most"):
        check_key(key)


@pytest.mark.parametrize("token", [*HOSTILE, "a.b", "a/b", "a=", "x" * (MAX_TOKEN + 1)])
def test_a_hostile_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="the name of a lane or job has at most"):
        check_token(token)


@pytest.mark.parametrize(
    "key", ["a", "security.used.5f3a", "quota/a=b", "A-_.0", "x" * MAX_KEY, "security.revoked.jti.0a"]
)
def test_a_key_of_ours_is_taken_as_it_is(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("token", ["a", "evt_01-x", "x" * MAX_TOKEN])
def test_a_token_of_ours_is_taken_as_it_is(token: str) -> None:
    assert check_token(token) == token


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_=/.*> \r\n-]*", fullmatch=True))
@example("a\n")
def test_a_key_is_refused_or_makes_one_plain_subject(key: str) -> None:
    try:
        check_key(key)
    except ValueError:
        return
    subject = Names("p").key_subject(key)
    assert subject.isascii()
    assert all(re.fullmatch(r"[^\s*>.]+", token) for token in subject.split("."))
    assert subject.startswith("$KV.p.")


@given(st.text(max_size=140) | st.from_regex(r"[A-Za-z0-9_.*> \r\n-]*", fullmatch=True))
@example("a\n")
def test_a_token_is_refused_or_stays_one_token(token: str) -> None:
    try:
        check_token(token)
    except ValueError:
        return
    names = Names("p")
    assert names.job_subject(token).split(".") == ["p", "job", token]
    assert names.later_subject(token, token).split(".") == ["p", "later", token, token]
    assert names.dead_subject(token, token).split(".") == ["p", "dead", token, token]


@pytest.mark.parametrize("prefix", HOSTILE)
def test_a_deployment_has_a_prefix_that_is_one_token(prefix: str) -> None:
    with pytest.raises(ValueError, match="has at most"):
        Names(prefix)


def test_a_prefix_whose_jobs_could_be_the_keys_of_another_is_refused() -> None:
    with pytest.raises(ValueError, match="does not begin with KV_"):
        Names("KV_a")


@given(st.lists(st.from_regex(r"(?!KV_)[A-Za-z0-9_-]{1,12}", fullmatch=True), min_size=2, max_size=2, unique=True))
@example(["a", "a-jobs"])
@example(["a-dead", "KV"])
def test_two_deployments_share_no_stream_and_no_subject(prefixes: list[str]) -> None:
    one, two = (
        {
            names.bucket_stream,
            names.jobs_stream,
            names.dead_stream,
            names.key_subject("k"),
            names.job_subject("l"),
            names.later_subject("l", "u"),
            names.dead_subject("l", "j"),
        }
        for names in map(Names, prefixes)
    )
    assert not one & two


def test_the_nats_tool_finds_the_bucket_under_the_prefix() -> None:
    names = Names("voxgate")
    assert names.bucket_stream == "KV_voxgate"
    assert names.key_subject("k") == "$KV.voxgate.k"
