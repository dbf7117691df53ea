"""What an engine is told: its script, its pace and its bounds."""

from dataclasses import dataclass, field

from voxgate_engine.limits import MAX_REPLIES, MAX_SESSIONS, MAX_TEXT_CHARS, SESSION_SECONDS
from voxgate_engine.voices.script import DEFAULT_REPLIES, DEFAULT_TRANSCRIPTS

__all__ = ["EngineSettings"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine behaves. Raises ``ValueError`` that lists every fault at once.

    ``replies`` and ``transcripts`` are what the model says and what it hears, each cycled per session.
    ``pace`` is how many seconds of audio leave per second, ``first_audio_ms`` the milliseconds between
    ``response.created`` and the first audio. ``session_seconds`` is a session's life. With ``api_key``
    set, a client must present it as a bearer token or in the ``api-key`` header.
    """

    replies: tuple[str, ...] = DEFAULT_REPLIES
    transcripts: tuple[str, ...] = DEFAULT_TRANSCRIPTS
    pace: float = 4.0
    first_audio_ms: float = 30.0
    max_sessions: int = MAX_SESSIONS
    session_seconds: float = SESSION_SECONDS
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        faults = [*_script_faults("replies", self.replies), *_script_faults("transcripts", self.transcripts)]
        if not self.pace > 0:
            faults.append("pace must be a number above 0")
        if not self.first_audio_ms >= 0:
            faults.append("first_audio_ms must be 0 or more")
        if self.max_sessions < 1:
            faults.append("max_sessions must be 1 or more")
        if not self.session_seconds > 0:
            faults.append("session_seconds must be a number above 0")
        if self.api_key is not None and not self.api_key:
            faults.append("api_key must not be empty; leave it out to accept anybody")
        if faults:
            raise ValueError("; ".join(faults))


def _script_faults(name: str, sentences: tuple[str, ...]) -> list[str]:
    if not 1 <= len(sentences) <= MAX_REPLIES:
        return [f"{name} must hold 1 to {MAX_REPLIES} sentences"]
    if any(not sentence.strip() or len(sentence) > MAX_TEXT_CHARS for sentence in sentences):
        return [f"each of {name} must have 1 to {MAX_TEXT_CHARS} characters"]
    return []
