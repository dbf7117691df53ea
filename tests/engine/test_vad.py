from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.wire import noise, silence
from voxgate_engine.vad import EnergyVad, SpeechStarted, SpeechStopped, score_of

SAMPLES_PER_MS = 24


def test_speech_is_dated_from_its_padding_to_the_end_of_the_silence() -> None:
    found = EnergyVad().receive(silence(1_000) + noise(800) + silence(900))
    assert found == [SpeechStarted(700 * SAMPLES_PER_MS), SpeechStopped(2_300 * SAMPLES_PER_MS)]


@given(st.lists(st.integers(1, 4_000), min_size=1, max_size=40))
def test_how_the_audio_is_cut_changes_nothing(sizes: list[int]) -> None:
    audio = silence(400) + noise(300) + silence(600)
    vad = EnergyVad()
    found = []
    place = 0
    for size in sizes:
        found += vad.receive(audio[place : place + 2 * size])
        place += 2 * size
    found += vad.receive(audio[place:])
    assert found == EnergyVad().receive(audio)


def test_a_click_is_not_speech() -> None:
    assert EnergyVad().receive(silence(200) + noise(40) + silence(200)) == []


def test_a_pause_shorter_than_the_silence_does_not_end_a_turn() -> None:
    vad = EnergyVad(silence_duration_ms=500)
    assert len(vad.receive(noise(300) + silence(480) + noise(300))) == 1
    assert vad.speaking


def test_a_shorter_silence_ends_a_turn_sooner() -> None:
    found = EnergyVad(silence_duration_ms=200, prefix_padding_ms=0).receive(noise(400) + silence(1_000))
    assert found == [SpeechStarted(0), SpeechStopped(600 * SAMPLES_PER_MS)]


def test_no_silence_at_all_ends_a_turn_at_the_first_quiet_frame() -> None:
    found = EnergyVad(silence_duration_ms=0).receive(noise(400) + silence(100))
    assert found[-1] == SpeechStopped(420 * SAMPLES_PER_MS)


def test_padding_never_reaches_into_the_turn_before() -> None:
    found = EnergyVad(prefix_padding_ms=300, silence_duration_ms=100).receive((noise(200) + silence(100)) * 2)
    assert [change.sample for change in found[1:3]] == [300 * SAMPLES_PER_MS] * 2


def test_padding_never_reaches_before_the_first_sample() -> None:
    assert EnergyVad().receive(silence(100) + noise(100)) == [SpeechStarted(0)]


def test_a_higher_threshold_asks_for_louder_speech() -> None:
    quiet = noise(300, peak=700)
    assert EnergyVad(threshold=0.5).receive(quiet)
    assert not EnergyVad(threshold=0.9).receive(quiet)


def test_digital_silence_is_never_speech_even_at_threshold_zero() -> None:
    assert EnergyVad(threshold=0.0).receive(silence(500)) == []


def test_a_constant_offset_is_not_loud() -> None:
    assert score_of(array("h", [12_000] * 480)) == 0.0


@pytest.mark.parametrize(("peak", "least", "most"), [(0, 0.0, 0.0), (40, 0.0, 0.1), (32_767, 1.0, 1.0)])
def test_the_score_follows_the_level(peak: int, least: float, most: float) -> None:
    frame = array("h")
    frame.frombytes(noise(20, peak=peak))
    assert least <= score_of(frame) <= most


def test_after_a_reset_nothing_older_counts() -> None:
    vad = EnergyVad()
    vad.receive(noise(200) + b"\x00\x00")
    assert vad.speaking
    vad.reset(9_600)
    assert vad.receive(silence(20) + noise(100)) == [SpeechStarted(9_600)]


def test_telephone_audio_is_heard_at_its_own_rate() -> None:
    audio = silence(400, 8_000) + noise(300, rate=8_000) + silence(600, 8_000)
    assert EnergyVad(rate=8_000).receive(audio) == [SpeechStarted(800), SpeechStopped(9_600)]
