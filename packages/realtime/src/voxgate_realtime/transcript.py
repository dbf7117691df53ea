"""What a model server says that is worth an event: words, tool calls and finished responses.

Of a message only the fields named here are decoded; audio never is. A message that does not have these fields is a
:class:`Misfit` and no error: it was forwarded all the same.

Source: the OpenAI Realtime API reference, GA shape; checked against ``openai.types.realtime``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec

__all__ = [
    "AUDIO_DELTA",
    "INTERESTING",
    "MAX_NAME",
    "MAX_TEXT",
    "MAX_TOKENS",
    "SPEECH_STOPPED",
    "Fact",
    "InputCommitted",
    "Misfit",
    "ResponseCreated",
    "ResponseDone",
    "ToolCall",
    "Transcript",
    "Usage",
    "read_fact",
]

MAX_TEXT: Final = 16 * 1024
"""Characters of a transcript, a response's text or a call's arguments; the rest is cut and the fact says so. A
character takes at most 12 bytes of JSON (two ``\\u`` escapes): the longest text takes 192 KiB, its event under 256."""

MAX_NAME: Final = 256
"""Characters of an id, a name or a status; a message with a longer one is a misfit."""

MAX_TOKENS: Final = 2**31 - 1
"""Tokens of one response; more is a misfit, so that the sum over a session stays exact in any JSON reader."""

AUDIO_DELTA: Final = "response.output_audio.delta"
"""Noted for when it comes, never decoded."""

SPEECH_STOPPED: Final = "input_audio_buffer.speech_stopped"
"""Likewise."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_TOKENS)]


class InputCommitted(msgspec.Struct, frozen=True):
    """The user's speech became item ``item_id``: what the next response answers."""

    item_id: str


class ResponseCreated(msgspec.Struct, frozen=True):
    """The model began to answer."""

    response_id: str


class Transcript(msgspec.Struct, frozen=True):
    """What one of the two said. ``truncated`` when it was longer than :data:`MAX_TEXT`."""

    role: Literal["user", "assistant"]
    item_id: str
    text: str
    truncated: bool
    response_id: str | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """The model called a tool. ``arguments`` is the JSON text as it came, no JSON any more when ``truncated``."""

    call_id: str
    name: str
    arguments: str
    truncated: bool


class Usage(msgspec.Struct, frozen=True):
    """Tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.total_tokens + other.total_tokens,
        )


class ResponseDone(msgspec.Struct, frozen=True):
    """The model finished, or stopped. ``text`` is what its messages say, a line each; ``None`` when it has none."""

    response_id: str
    status: str
    text: str | None
    truncated: bool
    usage: Usage | None


class Misfit(msgspec.Struct, frozen=True):
    """A message of an interesting type, with a body that is not of that type's shape."""


Fact = InputCommitted | ResponseCreated | Transcript | ToolCall | ResponseDone


class _Committed(msgspec.Struct):
    item_id: Name


class _ResponseHead(msgspec.Struct):
    id: Name


class _Created(msgspec.Struct):
    response: _ResponseHead


class _Heard(msgspec.Struct):
    item_id: Name
    transcript: str


class _Spoken(msgspec.Struct):
    item_id: Name
    response_id: Name
    transcript: str


class _Written(msgspec.Struct):
    item_id: Name
    response_id: Name
    text: str


class _ItemDone(msgspec.Struct):
    item: msgspec.Raw


class _Item(msgspec.Struct):
    type: str
    content: msgspec.Raw = msgspec.Raw()


class _Call(msgspec.Struct):
    call_id: Name
    name: Name
    arguments: str
    status: str | None = None


class _Part(msgspec.Struct):
    text: str | None = None
    transcript: str | None = None


class _Usage(msgspec.Struct):
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None


class _Response(msgspec.Struct):
    id: Name
    status: Name
    output: list[_Item] | None = None
    usage: _Usage | None = None


class _Done(msgspec.Struct):
    response: _Response


_decode_committed = msgspec.json.Decoder(_Committed).decode
_decode_created = msgspec.json.Decoder(_Created).decode
_decode_heard = msgspec.json.Decoder(_Heard).decode
_decode_spoken = msgspec.json.Decoder(_Spoken).decode
_decode_written = msgspec.json.Decoder(_Written).decode
_decode_item_done = msgspec.json.Decoder(_ItemDone).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_call = msgspec.json.Decoder(_Call).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_done = msgspec.json.Decoder(_Done).decode


def _cut(text: str) -> tuple[str, bool]:
    return text[:MAX_TEXT], len(text) > MAX_TEXT


def _read_committed(message: bytes) -> Fact:
    return InputCommitted(_decode_committed(message).item_id)


def _read_created(message: bytes) -> Fact:
    return ResponseCreated(_decode_created(message).response.id)


def _read_heard(message: bytes) -> Fact:
    heard = _decode_heard(message)
    return Transcript("user", heard.item_id, *_cut(heard.transcript))


def _read_spoken(message: bytes) -> Fact:
    spoken = _decode_spoken(message)
    return Transcript("assistant", spoken.item_id, *_cut(spoken.transcript), spoken.response_id)


def _read_written(message: bytes) -> Fact:
    written = _decode_written(message)
    return Transcript("assistant", written.item_id, *_cut(written.text), written.response_id)


def _read_item(message: bytes) -> Fact | None:
    item = _decode_item_done(message).item
    if _decode_item(item).type != "function_call":
        return None
    call = _decode_call(item)
    if call.status == "incomplete":  # the response was cut off in the middle of the arguments: nothing is called
        return None
    return ToolCall(call.call_id, call.name, *_cut(call.arguments))


def _read_done(message: bytes) -> Fact:
    response = _decode_done(message).response
    lines = []
    for item in response.output or ():
        if item.type == "message":
            lines += [part.text or part.transcript for part in _decode_parts(item.content)]
    text, truncated = _cut("\n".join(line for line in lines if line))
    usage = response.usage
    if usage is not None:
        total = Usage(usage.input_tokens or 0, usage.output_tokens or 0, usage.total_tokens or 0)
    return ResponseDone(response.id, response.status, text or None, truncated, None if usage is None else total)


_READERS: Final[Mapping[str, Callable[[bytes], Fact | None]]] = MappingProxyType(
    {
        "input_audio_buffer.committed": _read_committed,
        "response.created": _read_created,
        "conversation.item.input_audio_transcription.completed": _read_heard,
        "response.output_audio_transcript.done": _read_spoken,
        "response.output_text.done": _read_written,
        "response.output_item.done": _read_item,
        "response.done": _read_done,
    }
)

INTERESTING: Final = frozenset(_READERS) | {SPEECH_STOPPED}
"""The types worth a look. :data:`AUDIO_DELTA` is not one of them: it is worth one only until an answer is heard."""


def read_fact(kind: str, message: bytes) -> Fact | Misfit | None:
    """What a message of type ``kind`` tells; ``None`` when there is nothing to tell. Raises nothing."""
    reader = _READERS.get(kind)
    if reader is None:
        return None
    try:
        return reader(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Misfit()
