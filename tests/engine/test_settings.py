from typing import Any

import pytest

from voxgate_engine import EngineSettings
from voxgate_engine.limits import MAX_TEXT_CHARS


def test_the_defaults_stand() -> None:
    settings = EngineSettings()
    assert (settings.pace, settings.session_seconds, settings.api_key) == (4.0, 3_600.0, None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"replies": ()}, "replies must hold"),
        ({"transcripts": ("fine", "  ")}, "each of transcripts"),
        ({"replies": ("x" * (MAX_TEXT_CHARS + 1),)}, "each of replies"),
        ({"pace": 0.0}, "pace"),
        ({"pace": float("nan")}, "pace"),
        ({"first_audio_ms": -1}, "first_audio_ms"),
        ({"max_sessions": 0}, "max_sessions"),
        ({"session_seconds": 0}, "session_seconds"),
        ({"api_key": ""}, "api_key"),
    ],
)
def test_a_wrong_setting_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EngineSettings(**fields)


def test_every_fault_is_listed_at_once() -> None:
    with pytest.raises(ValueError, match=r"replies.*pace.*max_sessions"):
        EngineSettings(replies=(), pace=-1, max_sessions=0)


def test_the_key_is_not_shown() -> None:
    assert "hush" not in repr(EngineSettings(api_key="hush"))
