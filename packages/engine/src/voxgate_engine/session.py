"""A session's settings: their shapes, their defaults, and how ``session.update`` changes them. Pure.

Source: the session object of the GA Realtime API (``openai.types.realtime.RealtimeSessionCreateRequest``).
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from voxgate_engine.limits import MAX_OUTPUT_TOKENS, MAX_TOOLS

__all__ = [
    "DEFAULT_MODEL",
    "AudioFormat",
    "FunctionTool",
    "MaxOutputTokens",
    "Modalities",
    "NamedTool",
    "Prompt",
    "Reasoning",
    "SemanticVad",
    "ServerVad",
    "SessionConfig",
    "SessionPatch",
    "ToolChoice",
    "Tools",
    "TurnDetection",
    "Voice",
    "apply_patch",
    "default_session",
    "silence_ms",
]

DEFAULT_MODEL = "gpt-realtime-2.1"
DEFAULT_VOICE = "marin"
DEFAULT_INSTRUCTIONS = "You are a scripted voice. You answer without a model."

LONGEST_PADDING_MS = 5_000
LONGEST_SILENCE_MS = 10_000
SHORTEST_IDLE_MS = 5_000
LONGEST_IDLE_MS = 30_000

_EAGERNESS_SILENCE_MS = {"low": 900, "medium": 600, "auto": 600, "high": 300}
"""Silence that ends a turn for each eagerness; the API waits up to 8, 4 and 2 s, which no test wants."""


class _Strict(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    pass


class PcmFormat(_Strict, tag="audio/pcm", tag_field="type", frozen=True):
    """PCM16 little-endian mono; 24 kHz is the only rate."""

    rate: Literal[24000] = 24000


class UlawFormat(_Strict, tag="audio/pcmu", tag_field="type", frozen=True):
    """G.711 mu-law, 8 kHz."""


class AlawFormat(_Strict, tag="audio/pcma", tag_field="type", frozen=True):
    """G.711 A-law, 8 kHz."""


AudioFormat = PcmFormat | UlawFormat | AlawFormat


class ServerVad(_Strict, tag="server_vad", tag_field="type", frozen=True):
    """Turns end by silence; durations are milliseconds."""

    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=LONGEST_PADDING_MS)] = 300
    silence_duration_ms: Annotated[int, Meta(ge=0, le=LONGEST_SILENCE_MS)] = 500
    idle_timeout_ms: Annotated[int, Meta(ge=SHORTEST_IDLE_MS, le=LONGEST_IDLE_MS)] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(_Strict, tag="semantic_vad", tag_field="type", frozen=True):
    """Accepted, and served as silence detection whose length follows the eagerness."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = ServerVad | SemanticVad


def silence_ms(detection: TurnDetection) -> int:
    """Milliseconds of silence that end a turn."""
    if isinstance(detection, ServerVad):
        return detection.silence_duration_ms
    return _EAGERNESS_SILENCE_MS[detection.eagerness]


class Transcription(_Strict, frozen=True):
    """Input transcription; the engine reads a script, whichever model is named."""

    model: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    languages: list[str] | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    keywords: list[str] | UnsetType = UNSET
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | UnsetType = UNSET


class NoiseReduction(_Strict, frozen=True):
    """Accepted and shown again; the engine filters nothing."""

    type: Literal["near_field", "far_field"] | UnsetType = UNSET
    strength: Annotated[float, Meta(ge=0.0)] | UnsetType = UNSET


class CustomVoice(_Strict, frozen=True):
    """A voice of the customer's own."""

    id: str


Voice = Annotated[str, Meta(min_length=1, max_length=128)] | CustomVoice
MaxOutputTokens = Annotated[int, Meta(ge=1, le=MAX_OUTPUT_TOKENS)] | Literal["inf"]
Modalities = Annotated[list[Literal["text", "audio"]], Meta(min_length=1, max_length=1)]


class FunctionTool(_Strict, frozen=True):
    """A function the model may call; ``parameters`` is JSON Schema."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    type: Literal["function"] = "function"
    description: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class NamedTool(_Strict, frozen=True):
    """A ``tool_choice`` that forces one function."""

    name: str
    type: Literal["function"] = "function"


Tools = Annotated[list[FunctionTool], Meta(max_length=MAX_TOOLS)]
ToolChoice = Literal["none", "auto", "required"] | NamedTool


class Prompt(_Strict, frozen=True):
    """A stored prompt, accepted and shown again."""

    id: str
    version: str | None = None
    variables: dict[str, Any] | None = None


class Reasoning(_Strict, frozen=True):
    """Reasoning effort, accepted and shown again."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class _TokenLimits(_Strict, frozen=True):
    post_instructions: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


class RetentionRatio(_Strict, frozen=True):
    """A truncation that keeps part of the conversation, accepted and shown again."""

    retention_ratio: Annotated[float, Meta(ge=0.0, le=1.0)]
    type: Literal["retention_ratio"] = "retention_ratio"
    token_limits: _TokenLimits | UnsetType = UNSET


class TracingConfig(_Strict, frozen=True):
    """Tracing details, accepted and shown again."""

    group_id: str | UnsetType = UNSET
    workflow_name: str | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


Truncation = Literal["auto", "disabled"] | RetentionRatio
Tracing = Literal["auto"] | TracingConfig
Include = list[Literal["item.input_audio_transcription.logprobs"]]


class AudioInput(_Strict, frozen=True):
    """The effective input settings."""

    format: AudioFormat = PcmFormat()
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = ServerVad()


class AudioOutput(_Strict, frozen=True):
    """The effective output settings; ``speed`` is a multiple of the usual pace."""

    format: AudioFormat = PcmFormat()
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] = 1.0
    voice: Voice = DEFAULT_VOICE


class Audio(_Strict, frozen=True):
    """Both directions."""

    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class SessionConfig(_Strict, frozen=True):
    """The effective session, as ``session.created`` and ``session.updated`` show it."""

    type: Literal["realtime"] = "realtime"
    model: str = DEFAULT_MODEL
    instructions: str = DEFAULT_INSTRUCTIONS
    output_modalities: Modalities = msgspec.field(default_factory=lambda: ["audio"])
    audio: Audio = Audio()
    tools: Tools = msgspec.field(default_factory=list)
    tool_choice: ToolChoice = "auto"
    max_output_tokens: MaxOutputTokens = "inf"
    truncation: Truncation = "auto"
    tracing: Tracing | None = None
    prompt: Prompt | None = None
    include: Include | None = None
    parallel_tool_calls: bool | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET


class AudioInputPatch(_Strict, frozen=True):
    """What ``session.update`` may say of the input; ``null`` switches off what can be off."""

    format: AudioFormat | None = None
    noise_reduction: NoiseReduction | None | UnsetType = UNSET
    transcription: Transcription | None | UnsetType = UNSET
    turn_detection: TurnDetection | None | UnsetType = UNSET


class AudioOutputPatch(_Strict, frozen=True):
    """What ``session.update`` may say of the output."""

    format: AudioFormat | None = None
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | None = None
    voice: Voice | None = None


class AudioPatch(_Strict, frozen=True):
    """Both directions of a ``session.update``."""

    input: AudioInputPatch | None = None
    output: AudioOutputPatch | None = None


class SessionPatch(_Strict, frozen=True):
    """The ``session`` of a ``session.update``: absent fields stay, and so do ``null`` ones that can't be off."""

    type: Literal["realtime"]
    model: str | None = None
    instructions: str | None = None
    output_modalities: Modalities | None = None
    audio: AudioPatch | None = None
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: MaxOutputTokens | None = None
    truncation: Truncation | None = None
    tracing: Tracing | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    include: Include | None | UnsetType = UNSET
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None


_NULLABLE = frozenset(("noise_reduction", "transcription", "turn_detection", "tracing", "prompt", "include"))
"""Fields that ``null`` switches off; for every other one ``null`` says nothing."""


def default_session(model: str) -> SessionConfig:
    """What a connection starts with."""
    return SessionConfig(model=model)


def apply_patch(session: SessionConfig, patch: SessionPatch) -> SessionConfig:
    """The session after a ``session.update``. Named fields are replaced whole; a given
    ``noise_reduction`` without ``strength`` keeps the strength it had.
    """
    changes = _present(patch, skip=("audio", "type"))
    audio = session.audio
    if patch.audio is not None:
        given = patch.audio.input
        noise = given.noise_reduction if given is not None else UNSET
        inputs = audio.input if given is None else msgspec.structs.replace(audio.input, **_present(given))
        before = audio.input.noise_reduction
        if isinstance(noise, NoiseReduction) and noise.strength is UNSET and before is not None:
            kept = msgspec.structs.replace(noise, strength=before.strength)
            inputs = msgspec.structs.replace(inputs, noise_reduction=kept)
        outputs = audio.output
        if patch.audio.output is not None:
            outputs = msgspec.structs.replace(outputs, **_present(patch.audio.output))
        changes["audio"] = Audio(input=inputs, output=outputs)
    return msgspec.structs.replace(session, **changes)


def _present(struct: Struct, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    values = msgspec.structs.asdict(struct)
    return {
        name: value
        for name, value in values.items()
        if name not in skip and value is not UNSET and (value is not None or name in _NULLABLE)
    }
