import shlex
from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_gates import Redactor
from voxgate_gates.redaction import KEY, MIN_SECRET, TOKEN, shell_quote

PLANTED = 'pa"ss/wörd+1234'


@pytest.mark.parametrize(
    "text",
    [
        f"Bearer {PLANTED}",
        f"?key={quote(PLANTED, safe='')}",
        '{"key": "pa\\"ss/w\\u00f6rd+1234"}',
        f"Basic {b64encode(PLANTED.encode()).decode()}",
    ],
)
def test_a_known_secret_is_hidden_in_every_form_it_takes(text: str) -> None:
    redactor = Redactor([(PLANTED, KEY)])
    assert redactor.finds(text)
    hidden = redactor.text(text)
    assert KEY in hidden
    assert not redactor.finds(hidden)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bearer eyJhbGciOiJI.eyJzdWIiOiJ4.c2lnbmF0dXJl end", f"Bearer {TOKEN} end"),
        ("ek_eyJhbGciOiJI.eyJzdWIiOiJ4.c2ln", TOKEN),
        ("half of one: eyJhbGciOiJI.eyJzdW", f"half of one: {TOKEN}"),
        ("ek_0123456789", TOKEN),
        ("key vk_0123456789-_", f"key {KEY}"),
        ("sk-abcdefgh1234", "$OPENAI_API_KEY"),
        ("https://me:secret@host/", "https://$USERINFO@host/"),
        ("nothing to hide in ek_1 or eyes", "nothing to hide in ek_1 or eyes"),
    ],
)
def test_what_looks_like_a_credential_is_hidden_unknown(text: str, expected: str) -> None:
    assert Redactor().text(text) == expected


def test_the_longer_of_two_secrets_goes_whole() -> None:
    redactor = Redactor([("secret", "$A"), ("secret-longer", "$B")])
    assert redactor.text("secret-longer") == "$B"


def test_a_secret_too_short_is_left_alone() -> None:
    redactor = Redactor([("abc"[: MIN_SECRET - 1], "$A")])
    assert redactor.text("abcdef") == "abcdef"


def test_a_secret_that_no_text_can_hold_is_hidden_all_the_same() -> None:
    odd = "\ud800" * MIN_SECRET
    assert Redactor([(odd, "$A")]).text(f"x {odd}") == "x $A"


def test_the_repr_shows_no_secret() -> None:
    assert PLANTED not in repr(Redactor([(PLANTED, KEY)]))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0$"), min_size=1))
def test_a_shell_reads_a_quoted_word_back(word: str) -> None:
    assert shlex.split(shell_quote(word)) == [word]


def test_a_placeholder_stays_live_and_the_rest_does_not() -> None:
    assert shell_quote(f"Bearer {KEY}") == f'"Bearer {KEY}"'
    assert shell_quote(f'{TOKEN} "`$HOME`"') == f'"{TOKEN} \\"\\`\\$HOME\\`\\""'
    assert shell_quote("$HOME") == "'$HOME'"
