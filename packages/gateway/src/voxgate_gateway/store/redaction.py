"""Takes personal data out of what was said: credentials, e-mail addresses, bank accounts, cards and telephone numbers.

Each kind is looked for by its shape, and where it has check digits, by those. What is found is replaced by the name of
its kind in brackets. What has no shape (names, streets, a number said in words) stays. Every pattern takes time linear
in the text: its parts are bounded or possessive, and what a start can't match is short.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from voxgate_gateway.store.checksums import CARD_DIGITS, IBAN_LENGTHS, LuhnSums, is_iban

__all__ = ["CARD", "EMAIL", "IBAN", "PHONE", "SECRET", "Redaction", "redact"]

EMAIL: Final = "[email]"
PHONE: Final = "[phone]"
CARD: Final = "[card]"
IBAN: Final = "[iban]"
SECRET: Final = "[secret]"


@dataclass(frozen=True, slots=True)
class Redaction:
    """``text`` without ``found`` pieces of personal data."""

    text: str
    found: int


def redact(text: str) -> Redaction:
    """``text`` without what can be recognised. Never raises; linear in the length of ``text``."""
    found = 0
    for take_out in _STEPS:
        text, count = take_out(text)
        found += count
    return Redaction(text, found)


Step = Callable[[str], tuple[str, int]]
Span = tuple[int, int]


def _without(text: str, spans: list[Span], mark: str) -> tuple[str, int]:
    """``text`` with ``mark`` in the place of each span; spans are in order and apart."""
    if not spans:
        return text, 0
    pieces, done = [], 0
    for start, end in spans:
        pieces += [text[done:start], mark]
        done = end
    return "".join([*pieces, text[done:]]), len(spans)


# --- credentials ---------------------------------------------------------------------------------------------------

_RUN = r"[A-Za-z0-9_\-+/=.~]"
_PREFIXES = (
    "sk-|vk_|ek_|pk_|rk_|whsec_|sk_live_|sk_test_|rk_live_|rk_test_|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_|glpat-"
    "|xoxa-|xoxb-|xoxp-|xoxr-|xoxs-|npm_|hf_|AIza|AKIA|ASIA"
)
_EDGE = r"(?<![A-Za-z0-9])"
_KEYED = re.compile(rf"{_EDGE}(?:{_PREFIXES})({_RUN}{{8,}}+)")
_BEARER = re.compile(rf"(?i:\b(?:bearer|token)[ \t]{{1,4}}+)({_RUN}{{8,}}+)")
_HEADER = re.compile(
    r"(?i:\b(?:authorization|api[ _-]?key|x-api-key|password|passwd|passphrase|client_secret|access_token"
    r"|refresh_token|secret|cookie)\b[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:(?:basic|bearer|digest|token)[ \t]{1,4}+)?)"
    r"([^\s\"',;]{4,}+)"
)
_IN_URL = re.compile(r"(?<=://)([^\s/@:\"'<>]{0,256}+:[^\s/@\"'<>]{1,256}+)@")
_PEM = re.compile(r"(-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----[^-]*+(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----)?)")
_DOTTED = re.compile(r"[A-Za-z0-9_\-.]++")

LONG_KEY: Final = 24
"""Characters from which a run behind a key's prefix is a key even without a digit; shorter ones may be words."""


def _looks_random(run: str) -> bool:
    return len(run) >= LONG_KEY or any(letter.isdigit() for letter in run)


def _always(_: str) -> bool:
    return True


def _credentials(text: str) -> tuple[str, int]:
    found = 0
    rules = (
        (_PEM, _always),
        (_KEYED, _looks_random),
        (_BEARER, _looks_random),
        (_HEADER, _always),
        (_IN_URL, _always),
    )
    for pattern, is_one in rules:
        spans = []
        for match in pattern.finditer(text):
            if is_one(match[1]) and match[1] not in _MARKS:
                start = match.start(0) if pattern is _KEYED else match.start(1)
                spans.append((start, _without_stop(text, match.end(1))))
        text, count = _without(text, spans, SECRET)
        found += count
    spans = [span for match in _DOTTED.finditer(text) for span in _jwt_in(match)]
    text, count = _without(text, spans, SECRET)
    return text, found + count


def _without_stop(text: str, end: int) -> int:
    """``end`` without a full stop that ends the sentence, not the key."""
    return end - 1 if text[end - 1] == "." else end


def _jwt_in(match: re.Match[str]) -> list[Span]:
    """A signed token in a dotted run: from a segment of a JSON object (``eyJ``) on, when two more segments follow.

    An ``ek_`` before it is part of it (the ephemeral keys of the Realtime API, as this gateway issues them).
    """
    run = match[0]
    start = run.find("eyJ")
    if start < 0 or run.count(".", start) < 2:
        return []
    if run[:start].endswith("ek_"):
        start -= len("ek_")
    return [(match.start() + start, _without_stop(match.string, match.end()))]


_MARKS: Final = frozenset({EMAIL, PHONE, CARD, IBAN, SECRET})

# --- e-mail --------------------------------------------------------------------------------------------------------

_DOMAIN = re.compile(r"@(?:[\w-]{1,63}+\.){1,8}[^\W\d_][\w-]{1,62}+|@\[[0-9A-Fa-f:.]{3,45}+\]")
_LOCAL_MARKS: Final = frozenset(".!#$%&'*+/=?^_`{|}~-")
_SAID = re.compile(
    r"(?i)(?<![\w.+-])[\w.+-]{1,64}+ (?:at|\(at\)|\[at\]) (?:[\w-]{1,63}+ (?:dot|\(dot\)|\[dot\]) ){1,4}"
    r"(?:com|net|org|edu|gov|info|io|ai|co|uk|de|fr|es|it|nl|eu|at|ch|be|pl|se)\b"
)


def _emails(text: str) -> tuple[str, int]:
    spans: list[Span] = []
    done = 0
    for match in _DOMAIN.finditer(text):
        start = match.start()
        while start > done and (text[start - 1].isalnum() or text[start - 1] in _LOCAL_MARKS):
            start -= 1
        if start < match.start():
            spans.append((start, match.end()))
        done = match.end()
    text, count = _without(text, spans, EMAIL)
    text, said = _SAID.subn(EMAIL, text)
    return text, count + said


# --- bank accounts -------------------------------------------------------------------------------------------------

_IBAN = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z]{2}[0-9]{2}(?:[ \-.\u00a0]?[A-Za-z0-9]){11,30}+))")
_SEPARATOR_OF_IBAN = re.compile(r"[ \-.\u00a0]")


def _ibans(text: str) -> tuple[str, int]:
    spans: list[Span] = []
    done = 0
    for match in _IBAN.finditer(text):
        written = match[1]
        length = IBAN_LENGTHS.get(written[:2].upper())
        if length is None or match.start() < done:
            continue
        compact = _SEPARATOR_OF_IBAN.sub("", written)[:length]
        if not is_iban(compact):
            continue
        end, left = match.start(), length
        while left:
            left -= text[end].isalnum()
            end += 1
        spans.append((match.start(), end))
        done = end
    return _without(text, spans, IBAN)


# --- cards ---------------------------------------------------------------------------------------------------------

_GAP = r"[ \t\u00a0\u202f\u2010-\u2015\-.]"
_DIGITS = re.compile(rf"(?<![\d])\d(?:{_GAP}{{0,2}}+\d)++")
_GROUP = re.compile(r"\d+")
_ISSUERS = re.compile(r"4|5[0-8]|2[2-7]|3[0-9]|6[0-9]|9[0-9]")
"""How the numbers of Visa, Mastercard, American Express, Diners, JCB, Discover, UnionPay, Maestro, RuPay and Mir begin."""


def _cards(text: str) -> tuple[str, int]:
    spans: list[Span] = []
    for match in _DIGITS.finditer(text):
        if match.end() - match.start() >= CARD_DIGITS.start:
            spans += _cards_in(text, match.start(), match.end())
    return _without(text, spans, CARD)


def _cards_in(text: str, start: int, end: int) -> list[Span]:
    """Cards among groups of digits: each begins where a group begins and ends where one ends."""
    groups = [group.span() for group in _GROUP.finditer(text, start, end)]
    digits = [int(text[place]) for first, last in groups for place in range(first, last)]
    sums = LuhnSums(digits)
    edges = [0]
    for first, last in groups:
        edges.append(edges[-1] + last - first)
    spans: list[Span] = []
    place = 0
    while place < len(groups):
        length = _card_at(edges, place, digits, sums)
        if length:
            spans.append((groups[place][0], groups[place + length - 1][1]))
        place += length or 1
    return spans


def _card_at(edges: list[int], place: int, digits: list[int], sums: LuhnSums) -> int:
    """How many groups from ``place`` on make up a card, 0 for none. The longest one counts."""
    first = edges[place]
    if not _ISSUERS.match("".join(map(str, digits[first : first + 2]))):
        return 0
    best = 0
    for last in range(place + 1, len(edges)):
        length = edges[last] - first
        if length > CARD_DIGITS[-1]:
            break
        if length in CARD_DIGITS and sums.hold(first, edges[last]):
            best = last - place
    return best


# --- telephones ----------------------------------------------------------------------------------------------------

_BETWEEN = r"[ \t\u00a0\u202f\u2010-\u2015\-./()]"
_AFTER_PHONE = r"(?![\w])"
_BEFORE_PHONE = r"(?<![\w.,:/\-+])"

_INTERNATIONAL = re.compile(rf"(?<![\w+])\+[ ]?[1-9](?:{_BETWEEN}{{0,3}}+\d){{6,14}}{_AFTER_PHONE}")
_DOUBLE_ZERO = re.compile(
    rf"{_BEFORE_PHONE}00(?:[1-9]\d{{9,12}}|[ ]?[1-9]\d{{0,2}}(?:{_BETWEEN}{{1,3}}\d{{1,12}}+){{1,6}}){_AFTER_PHONE}"
)
_AMERICAN = re.compile(
    r"(?<![\w.,:/+])(?<!\d-)(?:1[ .\-])?(?:\([2-9]\d{2}\)[ \-.]?|[2-9]\d{2}[ .\-\u2010-\u2015])"
    r"\d{3}[ .\-\u2010-\u2015]\d{4}(?![\w])(?![\-./]\d)"
)
_TRUNK = re.compile(rf"{_BEFORE_PHONE}(?:0[1-9]\d{{8,10}}|\(?0[1-9](?:{_BETWEEN}{{0,3}}+\d){{7,11}}){_AFTER_PHONE}")
_NO_PHONE = (
    "order|invoice|ticket|ref|reference|case|id|package|parcel|tracking|account|policy|contract|model|serial|customer"
    "|article|item|sku|bestellung|rechnung|vertrag|kunde|kundennummer|bestellnummer"
)
_NAMED = re.compile(
    r"(?i)\b(?:tele)?(?:phone|fax|fon|mobile|cell|tel|whatsapp|call|text|sms|handy|telefon|rufnummer|mobil)\b"
    rf"(?:(?!\b(?:{_NO_PHONE})\b)[^\d\n]){{0,32}}?"
    rf"(\d(?:{_BETWEEN}{{0,2}}+\d){{6,14}}){_AFTER_PHONE}"
)
_DATE = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](?:\d{4}|\d{2})(?!\d)")
_PAIRS = re.compile(r"\d\d([ .\-])\d\d(?:\1\d\d){3}")

TRUNK_DIGITS: Final = range(9, 14)
"""Digits of a national number, its leading zero included."""


def _is_national(written: str) -> bool:
    """Whether a number that begins with one zero is dialled, and no date or time: those begin so as well."""
    digits = sum(letter.isdigit() for letter in written)
    if digits not in TRUNK_DIGITS:
        return False
    if _PAIRS.fullmatch(written):
        return True
    date = _DATE.match(written)
    return date is None or not (1 <= int(date[1]) <= 31 and 1 <= int(date[2]) <= 31)


def _phones(text: str) -> tuple[str, int]:
    found = 0
    for pattern, group, is_one in (
        (_INTERNATIONAL, 0, _always),
        (_DOUBLE_ZERO, 0, _is_long_enough),
        (_AMERICAN, 0, _always),
        (_TRUNK, 0, _is_national),
        (_NAMED, 1, _always),
    ):
        spans = [match.span(group) for match in pattern.finditer(text) if is_one(match[group])]
        text, count = _without(text, spans, PHONE)
        found += count
    return text, found


def _is_long_enough(written: str) -> bool:
    """Whether there are more digits than a padded counter has."""
    return 10 <= sum(letter.isdigit() for letter in written) <= 17


_STEPS: Final[tuple[Step, ...]] = (_credentials, _emails, _ibans, _cards, _phones)
