from hypothesis import given
from hypothesis import strategies as st

from voxgate_engine.voices.script import DEFAULT_REPLIES, DEFAULT_TRANSCRIPTS, Script, split_words


def test_a_script_repeats_its_sentences_in_order() -> None:
    script = Script(("one", "two"))
    assert [script.take() for _ in range(5)] == ["one", "two", "one", "two", "one"]


def test_the_default_sentences_come_whole_from_their_words() -> None:
    for sentence in DEFAULT_REPLIES + DEFAULT_TRANSCRIPTS:
        assert "".join(split_words(sentence)) == sentence


@given(st.text())
def test_words_join_to_the_text_with_its_spaces_made_single(text: str) -> None:
    assert "".join(split_words(text)) == " ".join(text.split())
