from array import array

import pytest

from voxgate_engine.voices.tone import word_audio, word_ms


@pytest.mark.parametrize("rate", [24_000, 8_000])
@pytest.mark.parametrize("speed", [0.25, 1.0, 1.5])
@pytest.mark.parametrize("word", ["Hello,", " I", " incomprehensibilities.", " —"])
def test_a_word_is_as_long_as_it_says(word: str, rate: int, speed: float) -> None:
    assert len(word_audio(word, rate=rate, speed=speed)) == 2 * (word_ms(word, speed) * rate // 1000)


def test_a_word_sounds_and_neither_clips_nor_clicks() -> None:
    samples = array("h")
    samples.frombytes(word_audio("gateway"))
    assert 4_000 < max(samples) < 8_000
    steps = [abs(after - before) for before, after in zip(samples, samples[1:], strict=False)]
    assert max(steps) < 1_000


def test_the_same_word_sounds_the_same_wherever_it_stands() -> None:
    assert word_audio("voice") == word_audio(" Voice")


def test_a_sentence_ends_in_a_longer_pause() -> None:
    assert word_ms("you.") > word_ms("you,") > word_ms("you")
