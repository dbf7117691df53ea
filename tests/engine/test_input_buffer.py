import pytest

from tests.engine.wire import noise, silence
from voxgate_engine.faults import Fault
from voxgate_engine.input_buffer import InputBuffer, codec_of, vad_for
from voxgate_engine.limits import IDLE_AUDIO_MS, MAX_BUFFER_BYTES
from voxgate_engine.session import SemanticVad, ServerVad
from voxgate_engine.vad import SpeechStarted


@pytest.fixture
def buffer() -> InputBuffer:
    return InputBuffer(codec_of("audio/pcm"))


def test_half_a_sample_waits_for_its_other_half(buffer: InputBuffer) -> None:
    assert buffer.append(b"\x01\x02\x03") == b"\x01\x02"
    assert buffer.append(b"\x04") == b"\x03\x04"
    assert buffer.clear() == b"\x01\x02\x03\x04"


def test_samples_are_counted_over_the_whole_session(buffer: InputBuffer) -> None:
    buffer.append(silence(100))
    buffer.clear()
    buffer.append(silence(50))
    assert (buffer.start, buffer.end) == (2_400, 3_600)
    assert buffer.ms_at(buffer.end) == 150


def test_idle_audio_is_bounded(buffer: InputBuffer) -> None:
    for _ in range(15):
        buffer.append(silence(1_000))
        buffer.drop_idle()
    assert buffer.milliseconds == IDLE_AUDIO_MS
    assert buffer.ms_at(buffer.end) == 15_000


def test_taking_leaves_what_came_later(buffer: InputBuffer) -> None:
    buffer.append(b"aabbcc")
    assert buffer.take_until(2) == b"aabb"
    assert buffer.take_until(1) == b""
    assert buffer.clear() == b"cc"


def test_a_tenth_of_a_second_is_needed_to_commit(buffer: InputBuffer) -> None:
    buffer.append(silence(99))
    with pytest.raises(Fault) as refused:
        buffer.require_commit()
    assert refused.value.code == "input_audio_buffer_commit_empty"
    buffer.append(silence(1))
    buffer.require_commit()


def test_room_ends_at_the_bound(buffer: InputBuffer) -> None:
    assert buffer.has_room_for(MAX_BUFFER_BYTES)
    assert not buffer.has_room_for(MAX_BUFFER_BYTES + 1)


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_telephone_audio_is_decoded_before_it_is_heard(name: str) -> None:
    codec = codec_of(name)
    buffer = InputBuffer(codec)
    vad = vad_for(ServerVad(), buffer)
    assert vad is not None
    fresh = buffer.append(codec.encode(noise(200, rate=8_000)))
    assert buffer.hear(vad, fresh) == [SpeechStarted(0)]
    assert buffer.milliseconds == 200


def test_another_format_keeps_the_milliseconds(buffer: InputBuffer) -> None:
    buffer.append(silence(300))
    buffer.recode(codec_of("audio/pcmu"))
    assert buffer.ms_at(buffer.end) == 300
    assert buffer.milliseconds == 0


def test_an_unknown_format_has_no_codec() -> None:
    with pytest.raises(KeyError):
        codec_of("audio/opus")


def test_a_detector_listens_from_the_end_of_the_buffer(buffer: InputBuffer) -> None:
    buffer.append(silence(100))
    vad = vad_for(SemanticVad(eagerness="high"), buffer)
    assert vad is not None
    assert buffer.hear(vad, buffer.append(noise(100))) == [SpeechStarted(2_400)]
    assert vad_for(None, buffer) is None
