from voxgate_engine import limits


def test_the_largest_append_of_the_protocol_fits_one_frame_and_the_buffer() -> None:
    base64_bytes = 15 * 1024 * 1024
    assert base64_bytes < limits.MAX_FRAME_BYTES
    assert base64_bytes * 3 // 4 < limits.MAX_BUFFER_BYTES


def test_every_bound_is_a_positive_number() -> None:
    assert all(getattr(limits, name) > 0 for name in limits.__all__)


def test_idle_audio_fits_the_buffer_many_times() -> None:
    assert limits.IDLE_AUDIO_MS * 48 * 10 < limits.MAX_BUFFER_BYTES
