import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import VoxgateError
from voxgate_realtime.frames import BINARY, CONTINUATION, TEXT, Assembler


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=10))
def test_fragments_join_to_the_message_they_were(parts: list[bytes]) -> None:
    assembler = Assembler(limit=1000)
    for index, part in enumerate(parts):
        final = index == len(parts) - 1
        message = assembler.receive_frame(TEXT if index == 0 else CONTINUATION, final, part)
        assert (message is None) is not final
        assert assembler.partial is not final
    assert message == b"".join(parts)


def test_the_bound_holds_for_the_joined_message_not_for_a_frame() -> None:
    assembler = Assembler(limit=10)
    assert assembler.receive_frame(TEXT, False, b"12345") is None
    assert assembler.receive_frame(CONTINUATION, False, b"67890") is None
    with pytest.raises(VoxgateError) as refused:
        assembler.receive_frame(CONTINUATION, True, b"1")
    assert refused.value.kind.close_code == 1009


def test_the_bound_is_counted_anew_for_each_message() -> None:
    assembler = Assembler(limit=10)
    for _ in range(5):
        assert assembler.receive_frame(TEXT, True, b"1234567890") == b"1234567890"


def test_empty_fragments_without_end_change_nothing() -> None:
    assembler = Assembler(limit=10)
    assembler.receive_frame(TEXT, False, b"a")
    for _ in range(10_000):
        assembler.receive_frame(CONTINUATION, False, b"")
    assert assembler.receive_frame(CONTINUATION, True, b"b") == b"ab"


@pytest.mark.parametrize(
    "frames",
    [
        [(CONTINUATION, True)],
        [(TEXT, False), (TEXT, True)],
        [(TEXT, True), (CONTINUATION, True)],
    ],
)
def test_frames_of_two_messages_do_not_mix(frames: list[tuple[int, bool]]) -> None:
    assembler = Assembler(limit=10)
    *fine, wrong = frames
    for opcode, fin in fine:
        assembler.receive_frame(opcode, fin, b"x")
    with pytest.raises(VoxgateError) as refused:
        assembler.receive_frame(*wrong, b"x")
    assert refused.value.code == "invalid_message"


@pytest.mark.parametrize("partial", [False, True])
def test_binary_is_refused_whenever_it_comes(partial: bool) -> None:
    assembler = Assembler(limit=10)
    if partial:
        assembler.receive_frame(TEXT, False, b"x")
    with pytest.raises(VoxgateError) as refused:
        assembler.receive_frame(BINARY, True, b"x")
    assert refused.value.kind.close_code == 1003
