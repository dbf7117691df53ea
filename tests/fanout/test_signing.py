"""Signatures, checked in both directions against the reference implementation of Standard Webhooks."""

import time
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from voxgate_fanout.signing import (
    MAX_SIGNATURES,
    TOLERANCE,
    SignatureError,
    new_secret,
    secret_key,
    signed_headers,
    verify,
)

NOW = 1_764_108_300.9
SECRET = "whsec_" + b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + b64encode(bytes(range(1, 33))).decode()
BODY = b'{"a":1}'

secrets = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + b64encode(key).decode())
event_ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
moments = st.floats(0, 4e9)


def signed(*signers: str, now: float = NOW) -> dict[str, str]:
    return signed_headers("evt_1", BODY, [secret_key(secret) for secret in signers or (SECRET,)], now)


def reason(headers: dict[str, str], *, body: bytes = BODY, now: float = NOW) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(headers, body, [SECRET], now)
    return caught.value.reason


@given(secrets, event_ids, st.text(), moments)
def test_the_reference_signs_the_same(secret: str, event_id: str, body: str, now: float) -> None:
    headers = signed_headers(event_id, body.encode(), [secret_key(secret)], now)
    moment = datetime.fromtimestamp(int(now), UTC)
    assert headers == {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": Webhook(secret).sign(event_id, moment, body),
    }


@given(st.lists(secrets, min_size=1, max_size=4), event_ids, st.text())
def test_the_reference_verifies_what_is_signed_here_with_any_of_the_secrets(
    signers: list[str], event_id: str, body: str
) -> None:
    headers = signed_headers(event_id, body.encode(), [secret_key(secret) for secret in signers], time.time())
    for secret in signers:
        Webhook(secret).verify(body, headers, json_parse=False)


@given(secrets, event_ids, st.text(), moments)
def test_what_the_reference_signs_is_verified_here(secret: str, event_id: str, body: str, now: float) -> None:
    headers = {
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(int(now)),
        "Webhook-Signature": Webhook(secret).sign(event_id, datetime.fromtimestamp(int(now), UTC), body),
    }
    assert verify(headers, body.encode(), [OTHER, secret], now) == event_id


@given(st.binary(), st.binary())
def test_another_body_is_refused_here_and_by_the_reference(body: bytes, other: bytes) -> None:
    headers = signed_headers("evt_1", body, [secret_key(SECRET)], time.time())
    if body == other:
        assert verify(headers, other, [SECRET], time.time()) == "evt_1"
        return
    with pytest.raises(SignatureError, match="no signature matches"):
        verify(headers, other, [SECRET], time.time())
    with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):  # the reference takes text alone
        Webhook(SECRET).verify(other, headers, json_parse=False)


def test_openssl_signs_the_same() -> None:
    """``printf 'evt_1.1764108300.{"a":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:00…1f -binary | base64``"""
    assert signed()["webhook-signature"] == "v1,kj1E2mzfAJuazXic4je+w0goRQg84c9sqoyDciV9cXo="


def test_each_secret_gives_one_signature_in_their_order() -> None:
    both = signed(SECRET, OTHER)["webhook-signature"].split(" ")
    assert both == [signed(SECRET)["webhook-signature"], signed(OTHER)["webhook-signature"]]
    for secret in (SECRET, OTHER):
        assert verify(signed(SECRET, OTHER), BODY, [secret], NOW) == "evt_1"


def test_a_retry_keeps_its_id_and_is_signed_anew() -> None:
    first, second = signed(), signed(now=NOW + 5)
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]


def test_a_delivery_is_never_sent_unsigned() -> None:
    with pytest.raises(ValueError, match="one key at least"):
        signed_headers("evt_1", BODY, [], NOW)


@pytest.mark.parametrize("event_id", ["", "a.1", "a b", "a\r\nx: y", "é", "a\n"])
def test_an_id_that_could_blur_what_was_signed_is_refused(event_id: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        signed_headers(event_id, BODY, [secret_key(SECRET)], NOW)


@pytest.mark.parametrize("part", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_no_part_may_be_changed_be_absent_or_be_there_twice(part: str) -> None:
    changed = {"webhook-id": "evt_2", "webhook-timestamp": str(int(NOW) + 1), "webhook-signature": "v1,AAAA"}
    assert reason(signed() | {part: changed[part]}) == "no signature matches"
    for headers in (
        {name: value for name, value in signed().items() if name != part},
        signed() | {part: ""},
        signed() | {part.title(): signed()[part]},
    ):
        assert reason(headers) == f"{part} is absent or repeated"


def test_the_clocks_may_differ_by_the_tolerance_and_no_more() -> None:
    moment = float(int(NOW))
    for now in (moment - TOLERANCE, moment, moment + TOLERANCE):
        assert verify(signed(), BODY, [SECRET], now) == "evt_1"
    assert reason(signed(), now=moment + TOLERANCE + 0.1) == "the timestamp is too old"
    assert reason(signed(), now=moment - TOLERANCE - 0.1) == "the timestamp is too new"
    assert verify(signed(), BODY, [SECRET], moment + 1000, tolerance=1000) == "evt_1"


@pytest.mark.parametrize("timestamp", ["now", "1.5", "-1", "+1", " 1", "1e3", "١", "1" * 13, "1" * 5000, "nan"])
def test_a_timestamp_is_whole_seconds(timestamp: str) -> None:
    assert reason(signed() | {"webhook-timestamp": timestamp}) == "the timestamp is not whole seconds"


def test_signatures_of_other_versions_do_not_count() -> None:
    signature = signed()["webhook-signature"]
    known = {"webhook-signature": f"v1a,x {signature.replace('v1', 'v2')} v1 , {signature}"}
    assert verify(signed() | known, BODY, [SECRET], NOW) == "evt_1"
    for text in (signature.replace("v1", "v2"), signature.removeprefix("v1,"), "v1,", ",", " ", signature[:-1]):
        assert reason(signed() | {"webhook-signature": text}) == "no signature matches"


def test_a_flood_of_signatures_is_refused() -> None:
    signature = signed()["webhook-signature"]
    full = " ".join(["v1,AAAA"] * (MAX_SIGNATURES - 1) + [signature])
    assert verify(signed() | {"webhook-signature": full}, BODY, [SECRET], NOW) == "evt_1"
    assert reason(signed() | {"webhook-signature": f"{full} v1,AAAA"}) == "there are too many signatures"


def test_an_id_with_a_full_stop_is_refused_though_its_signature_holds() -> None:
    timestamp, content = str(int(NOW)), BODY.decode()
    signature = Webhook(SECRET).sign("a.b", datetime.fromtimestamp(int(NOW), UTC), content)
    headers = {"webhook-id": "a.b", "webhook-timestamp": timestamp, "webhook-signature": signature}
    assert reason(headers) == "webhook-id has a full stop"


@given(st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()))
def test_forged_headers_of_any_text_are_refused(forged: dict[str, str]) -> None:
    if forged:
        assert reason(signed() | forged)


def test_lone_surrogates_in_headers_are_refused_like_any_other_text() -> None:
    for part in ("webhook-id", "webhook-signature"):
        assert reason(signed() | {part: "\ud800\udcff"}) == "no signature matches"


def test_a_receiver_without_a_sound_secret_believes_nobody() -> None:
    for secrets_given in ([], ["whsec_"], ["", SECRET]):
        with pytest.raises(ValueError, match="secret") as caught:
            verify(signed(), BODY, secrets_given, NOW)
        assert not isinstance(caught.value, SignatureError)


def test_new_secrets_differ_and_hold_32_bytes() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(secret_key(secret)) for secret in made} == {32}


@given(st.binary(min_size=24, max_size=64), st.booleans())
def test_a_secret_holds_24_to_64_bytes_padded_or_not(key: bytes, padded: bool) -> None:
    encoded = b64encode(key).decode()
    assert secret_key("whsec_" + (encoded if padded else encoded.rstrip("="))) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        SECRET.removeprefix("whsec_"),
        SECRET.replace("whsec_", "WHSEC_"),
        "whsec_" + b64encode(b"x" * 23).decode(),
        "whsec_" + b64encode(b"x" * 65).decode(),
        "whsec_" + b64encode(b"\xff" * 32).decode().replace("/", "_"),
        SECRET + "\n",
        SECRET.replace("A", " ", 1),
        SECRET.replace("A", "é", 1),
        "whsec_" + "A" * 33,
    ],
    ids=range(11),
)
def test_a_text_that_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="base64 of 24 to 64 bytes") as caught:
        secret_key(text)
    assert str(caught.value) == "a secret is whsec_ and base64 of 24 to 64 bytes"
    assert caught.value.__context__ is None
