from typing import Any

import msgspec
import pytest

from voxgate_engine.session import (
    SemanticVad,
    ServerVad,
    SessionConfig,
    SessionPatch,
    apply_patch,
    default_session,
    silence_ms,
)


def patched(session: SessionConfig, **fields: Any) -> SessionConfig:
    return apply_patch(session, msgspec.convert({"type": "realtime", **fields}, SessionPatch))


@pytest.fixture
def session() -> SessionConfig:
    return default_session("gpt-realtime-2.1")


def test_an_empty_patch_changes_nothing(session: SessionConfig) -> None:
    assert patched(session) == session
    assert patched(session, audio={}) == session
    assert patched(session, audio={"input": {}, "output": {}}) == session


def test_absent_fields_stay(session: SessionConfig) -> None:
    after = patched(patched(session, instructions="Be brief."), max_output_tokens=40)
    assert (after.instructions, after.max_output_tokens) == ("Be brief.", 40)


def test_an_empty_value_clears(session: SessionConfig) -> None:
    before = patched(session, instructions="x", tools=[{"type": "function", "name": "f"}])
    after = patched(before, instructions="", tools=[])
    assert (after.instructions, after.tools) == ("", [])


def test_null_switches_off_what_can_be_off(session: SessionConfig) -> None:
    on = patched(session, audio={"input": {"transcription": {"model": "m"}}}, tracing="auto", prompt={"id": "p"})
    off = patched(on, audio={"input": {"transcription": None, "turn_detection": None}}, tracing=None, prompt=None)
    assert off.audio.input.transcription is None
    assert off.audio.input.turn_detection is None
    assert (off.tracing, off.prompt) == (None, None)


def test_null_says_nothing_of_what_can_not_be_off(session: SessionConfig) -> None:
    assert patched(session, instructions=None, model=None, audio={"output": {"voice": None}}) == session


def test_turn_detection_is_replaced_whole(session: SessionConfig) -> None:
    once = patched(session, audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}})
    again = patched(once, audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}}})
    assert again.audio.input.turn_detection == ServerVad(silence_duration_ms=200)


def test_noise_reduction_keeps_its_strength_until_it_is_given_another(session: SessionConfig) -> None:
    strong = patched(session, audio={"input": {"noise_reduction": {"type": "near_field", "strength": 2}}})
    far = patched(strong, audio={"input": {"noise_reduction": {"type": "far_field"}}})
    assert msgspec.to_builtins(far.audio.input.noise_reduction) == {"type": "far_field", "strength": 2.0}
    weak = patched(far, audio={"input": {"noise_reduction": {"type": "far_field", "strength": 0.5}}})
    assert msgspec.to_builtins(weak.audio.input.noise_reduction) == {"type": "far_field", "strength": 0.5}
    off = patched(weak, audio={"input": {"noise_reduction": None}})
    assert patched(off, audio={"input": {"noise_reduction": {"type": "far_field"}}}).audio.input.noise_reduction


def test_input_and_output_are_patched_apart(session: SessionConfig) -> None:
    after = patched(session, audio={"output": {"voice": {"id": "voice_1"}, "format": {"type": "audio/pcma"}}})
    assert after.audio.input == session.audio.input
    assert msgspec.to_builtins(after.audio.output) == {
        "format": {"type": "audio/pcma"},
        "speed": 1.0,
        "voice": {"id": "voice_1"},
    }


@pytest.mark.parametrize("idle", [4_999, 30_001])
def test_an_idle_timeout_is_five_to_thirty_seconds(session: SessionConfig, idle: int) -> None:
    with pytest.raises(msgspec.ValidationError):
        patched(session, audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": idle}}})


def test_silence_follows_the_detection() -> None:
    assert silence_ms(ServerVad(silence_duration_ms=123)) == 123
    lengths = [silence_ms(SemanticVad(eagerness=eagerness)) for eagerness in ("high", "medium", "low")]
    assert lengths == sorted(lengths)
