from hypothesis import given
from hypothesis import strategies as st

from voxgate_gates.visible import visible


def test_what_a_terminal_would_obey_is_written_out() -> None:
    told = visible("a\tb\nc\x1b]0;owned\x07\x9b31m\u202egnp.exe \ud800é漢\u200d")
    assert told == "a\tb\nc\\u001b]0;owned\\u0007\\u009b31m\\u202egnp.exe \\ud800é漢\u200d"


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_one_that_a_file_and_a_terminal_can_take(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not [letter for letter in shown if letter not in "\t\n" and (letter < " " or "\x7f" <= letter <= "\x9f")]
    assert visible(shown) == shown
