"""The guard reads tokens in one way only, and says no to everything else without raising anything of its own."""

import json
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.security.hostile_tokens import CONTROLS
from tests.security.rig import CLAIMS, HEADER, NOW, ORIGIN, dump, sign, sign_raw
from voxgate_core import Leash, VoxgateError
from voxgate_security import MAX_TOKEN, inspect
from voxgate_security.guard import is_identifier, is_scope, is_subject, leash_to_claim

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def refusal(token: str) -> VoxgateError:
    with pytest.raises(VoxgateError) as caught:
        inspect(token)
    assert caught.value.code == "credential_invalid"
    return caught.value


def test_a_good_token_is_read_whole() -> None:
    leash = {"seconds": 60, "tokens": 5, "spend": 1.5, "session": {"model": "m"}}
    guarded = inspect("ek_" + sign(claims={**CLAIMS, "leash": leash, "scope": "realtime transcribe"}))
    assert (guarded.algorithm, guarded.key_id, guarded.issuer) == ("HS256", "main", "voxgate")
    assert (guarded.audience, guarded.not_before) == ("voxgate-realtime", NOW - 10)
    assert guarded.grant.scope == {"realtime", "transcribe"}
    assert guarded.grant.origin == ORIGIN
    assert guarded.grant.leash == Leash(60, 5, 1.5, {"model": "m"})
    assert guarded.signing_input.startswith(b"eyJ")
    assert len(guarded.signature) == 32


def test_the_repr_of_a_guarded_token_shows_neither_token_nor_subject() -> None:
    text = repr(inspect(sign()))
    assert "alice" not in text
    assert "eyJ" not in text


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"{control.family}: {control.id}")
def test_good_tokens_of_every_family_pass(control: tuple[str, str, str]) -> None:
    assert inspect(control[2]).grant.subject


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "length"),
        ("x" * (MAX_TOKEN + 1), "length"),
        ("a.b", "segments"),
        ("é.b.c", "segments"),
        ("!!.b.c", "encoding"),
        ("A.b.c", "encoding"),
        (sign({**HEADER, "x": 1}), "header"),
        (sign_raw(b"[]", b"{}"), "header"),
        (sign({**HEADER, "alg": "none"}), "algorithm"),
        (sign({**HEADER, "typ": "JWT"}), "type"),
        (sign({**HEADER, "kid": ""}), "key_id"),
        (sign()[:-3], "signature"),
        (sign(claims={}), "claims"),
        (sign_raw(dump(HEADER), b"[]"), "claims"),
        (sign(claims={**CLAIMS, "sub": ""}), "sub"),
        (sign(claims={**CLAIMS, "exp": 1.0}), "exp"),
        (sign(claims={**CLAIMS, "leash": []}), "leash"),
        (sign_raw(b"\xff", b"{}"), "utf8"),
        (sign_raw(b'{"alg":1,"alg":1}', b"{}"), "duplicate_key"),
    ],
)
def test_a_refusal_names_its_rule(token: str, reason: str) -> None:
    error = refusal(token)
    assert error.details == {"reason": reason}


def test_a_refusal_never_quotes_the_token() -> None:
    error = refusal(sign(claims={**CLAIMS, "sub": "secret-subject\n"}))
    assert "secret-subject" not in f"{error} {error.details} {error.message}"
    assert error.__cause__ is None


def test_a_token_of_the_longest_size_is_read_and_one_more_is_not() -> None:
    session = {"instructions": ""}
    room = MAX_TOKEN - len(sign(claims={**CLAIMS, "leash": {"session": session}}))
    longest = next(
        token
        for size in range(room, 0, -1)
        if len(token := sign(claims={**CLAIMS, "leash": {"session": {"instructions": "x" * size}}})) <= MAX_TOKEN
    )
    assert inspect(longest).grant.leash.session
    refusal(longest + "A" * (MAX_TOKEN + 1 - len(longest)))


@given(st.text())
def test_any_text_is_refused_and_nothing_else_is_raised(text: str) -> None:
    refusal(text)


@given(st.lists(st.binary(max_size=200), min_size=3, max_size=3))
def test_any_three_segments_are_refused(segments: list[bytes]) -> None:
    refusal(sign_raw(segments[0], segments[1], segments[2]))


@given(json_values, json_values)
def test_any_json_is_refused(header: object, payload: object) -> None:
    refusal(sign_raw(dump(header), dump(payload)))


@given(st.sampled_from(sorted(CLAIMS)), json_values)
def test_a_claim_of_any_value_is_read_as_it_is_or_refused(name: str, value: object) -> None:
    try:
        guarded = inspect(sign(claims={**CLAIMS, name: value}))
    except VoxgateError:
        refusal(sign(claims={**CLAIMS, name: value}))
    else:
        # What got through is exactly what a plain reader sees: type and all.
        claims = json.loads(urlsafe_b64decode(guarded.signing_input.split(b".")[1] + b"=="))
        assert claims[name] == value
        assert type(claims[name]) is type(CLAIMS[name]) or (name == "origin" and value is None)


@given(st.data())
def test_one_changed_character_never_reads_as_the_same_token(data: st.DataObject) -> None:
    token = sign()
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.characters()) + token[place + 1 :]
    try:
        guarded = inspect(changed)
    except VoxgateError:
        return
    assert changed == token or guarded != inspect(token)


def test_words_ids_and_subjects_have_bounds() -> None:
    assert is_identifier("a-b_c.9")
    assert is_identifier("x" * 64)
    assert not is_identifier("x" * 65)
    assert not is_identifier(7)
    assert is_scope("realtime:read/x")
    assert not is_scope("a b")
    assert is_subject("Zoë")
    assert not is_subject("x" * 257)


def test_a_leash_becomes_a_claim_of_what_is_set() -> None:
    assert leash_to_claim(Leash()) == {}
    assert leash_to_claim(Leash(seconds=1, session={"a": 1})) == {"seconds": 1, "session": {"a": 1}}
