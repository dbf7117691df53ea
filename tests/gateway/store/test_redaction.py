"""Redaction: what is taken out, what stays, and that no text takes long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_gateway.store.checksums import IBAN_LENGTHS
from voxgate_gateway.store.redaction import CARD, EMAIL, IBAN, PHONE, SECRET, redact

HOSTILE_SIZE = 64 * 1024
PATIENCE = 5.0
"""Seconds for one hostile text: linear patterns take a tenth of one, quadratic ones ten on a machine at rest."""

words = st.text("abcdefghij klmnop.,!?äßéñ\n", max_size=30)
groups = st.sampled_from([" ", "-", ""])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("mail me at jo.e+x@example.com. Thanks", f"mail me at {EMAIL}. Thanks"),
        ("<ada@lovelace.example>, please", f"<{EMAIL}>, please"),
        ("jürgen@müller.example", EMAIL),
        ("it is ada at gmail dot com", f"it is {EMAIL}"),
        ("card 4111 1111 1111 1111, cvv 123", f"card {CARD}, cvv 123"),
        ("5500-0000-0000-0004 and 340000000000009", f"{CARD} and {CARD}"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", CARD),
        ("４１１１１１１１１１１１１１１１", CARD),
        ("DE89 3704 0044 0532 0130 00 and so on", f"{IBAN} and so on"),
        ("GB82WEST12345698765432", IBAN),
        ("fr14-2004-1010-0505-0001-3M02-606", IBAN),
        ("call +49 30 1234567 now", f"call {PHONE} now"),
        ("+14155550123", PHONE),
        ("+44 (0)20 7946 0958", PHONE),
        ("0049 170 1234567", PHONE),
        ("(555) 123-4567", PHONE),
        ("212-555-0123, or 1-212-555-0123", f"{PHONE}, or {PHONE}"),
        ("212.555.0123", PHONE),
        ("01 23 45 67 89", PHONE),
        ("0171/1234567", PHONE),
        ("07911123456", PHONE),
        ("call me on 5551234567", f"call me on {PHONE}"),
        ("meine Rufnummer ist 612 34 56 78", f"meine Rufnummer ist {PHONE}"),
        ("it is sk-proj-abc123def456ghi", f"it is {SECRET}"),
        ("key vk_Abcd1234efgh5678.", f"key {SECRET}."),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SECRET),
        ("Authorization: Bearer abcdefghijkl1234", f"Authorization: Bearer {SECRET}"),
        ("bearer abcd1234efgh", f"bearer {SECRET}"),
        ("ek_eyJhbGciOi.eyJzdWIi.c2ln and", f"{SECRET} and"),
        ("x_eyJhbGciOi.eyJzdWIi.c2ln", f"x_{SECRET}"),
        ('{"password": "hunter22"}', f'{{"password": "{SECRET}"}}'),
        ("postgres://ada:p4ss@db/x", f"postgres://{SECRET}@db/x"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", SECRET),
        ("AKIAIOSFODNN7EXAMPLE", SECRET),
    ],
)
def test_what_is_personal_is_named_by_its_kind(text: str, kept: str) -> None:
    redaction = redact(text)
    assert redaction.text == kept
    assert redaction.found == sum(kept.count(mark) for mark in (EMAIL, CARD, IBAN, PHONE, SECRET))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello, how are you?",
        "order 12345678",
        "order number 5551234567",
        "call about order 12345678",
        "order 0012345678",
        "invoice 2024-0012-3345",
        "tracking 1Z999AA10123456784",
        "on 2024-05-12, or 01.02.2024 at 10:30",
        "12:30:45 01/02/24 03/04/24",
        "192.168.100.200",
        "1.234.567,89 EUR and 0.123456789",
        "ISBN 978-3-16-148410-0",
        "4111 1111 1111 1112",
        "GB83WEST12345698765432",
        "DE12345",
        "a@b and @home.example",
        "bearer responsibility",
        "the token is expired",
        "task-management and ask-me-anything",
        "version 1.2.3.4.5",
        "eyJust a word. And. More.",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    redaction = redact(text)
    assert (redaction.text, redaction.found) == (text, 0)


def with_check_digit(digits: str) -> str:
    doubled = [int(digit) * 2 if place % 2 == 0 else int(digit) for place, digit in enumerate(reversed(digits))]
    return digits + str(-sum(number - 9 if number > 9 else number for number in doubled) % 10)


@given(words, st.sampled_from(["4", "51", "37", "6011"]), st.integers(13, 19), groups, words, st.data())
def test_a_card_never_survives(before: str, issuer: str, size: int, gap: str, after: str, data: st.DataObject) -> None:
    rest = size - len(issuer) - 1
    number = with_check_digit(issuer + data.draw(st.text("0123456789", min_size=rest, max_size=rest)))
    written = gap.join(number[place : place + 4] for place in range(0, size, 4))
    assert CARD in redact(f"{before} {written} {after}").text
    assert written not in redact(f"{before} {written} {after}").text


@given(words, st.sampled_from(sorted(IBAN_LENGTHS)), groups, st.booleans(), words, st.data())
def test_an_account_never_survives(
    before: str, country: str, gap: str, lower: bool, after: str, data: st.DataObject
) -> None:
    size = IBAN_LENGTHS[country] - 4
    account = data.draw(st.text("0123456789ABCDEF", min_size=size, max_size=size))
    number = "".join(str(int(letter, 36)) for letter in f"{account}{country}00")
    iban = f"{country}{98 - int(number) % 97:02}{account}"
    written = gap.join(iban[place : place + 4] for place in range(0, len(iban), 4))
    written = written.lower() if lower else written
    assert redact(f"{before} {written} {after}").text.count(IBAN) >= 1


@given(
    words,
    st.from_regex(r"\A[a-z0-9]{1,10}([._+-][a-z0-9]{1,10}){0,3}@([a-z0-9]{1,10}\.){1,3}[a-z]{2,8}\Z"),
    words,
)
def test_an_address_never_survives(before: str, address: str, after: str) -> None:
    assert address not in redact(f"{before} {address} {after}").text


@given(words, st.sampled_from(["1", "44", "49", "33", "971"]), st.text("0123456789", min_size=8, max_size=11), words)
def test_an_international_number_never_survives(before: str, country: str, number: str, after: str) -> None:
    assert number not in redact(f"{before} +{country} {number} {after}").text


@given(
    words,
    st.sampled_from(["sk-", "vk_", "whsec_", "ghp_"]),
    st.text("abcdefABCDEF0123456789", min_size=24, max_size=60),
    words,
)
def test_a_key_never_survives(before: str, prefix: str, key: str, after: str) -> None:
    assert key not in redact(f"{before} {prefix}{key} {after}").text


@given(words, st.integers(1, 999_999_999), words)
def test_a_number_of_an_order_stays(before: str, number: int, after: str) -> None:
    assert f"#{number}" in redact(f"{before} #{number} {after}").text


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    redaction = redact(text)
    assert redaction.found or redaction.text == text


HOSTILE = [
    "a", "0", "4", "1-", "01", "01 ", "4 ", "00 1", "212-555-", "+1", "+1 ", "eyJ", "-eyJ", "eyJ.", "a.", ".", "@a.",
    "a@", "é@é.", "DE12 ", "DE89 3704 0044 0532 0130 01 ", "4111111111111112 ", "phone ", "phone 1 ", "call 555 ",
    "://a:", "a:", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "bearer ", "sk-", "password=", "secret:    ", "a at ",
    "a at b dot ", " ", "(", "0(", "1(", "４", "\0", "authorization basic ", "phone\t",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_long(piece: str) -> None:
    for text in ((piece * HOSTILE_SIZE)[:HOSTILE_SIZE], "://x" + (piece * HOSTILE_SIZE)[:HOSTILE_SIZE] + "@"):
        begun = time.thread_time()
        redact(text)
        assert time.thread_time() - begun < PATIENCE
