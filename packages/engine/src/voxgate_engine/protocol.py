"""Client events: what may arrive, and what is said when something else does. Pure.

Shapes follow the GA Realtime API (client events reference; the models of ``openai.types.realtime``). Every
struct refuses fields it does not know, as the API does with ``unknown_parameter``.
"""

import re
from typing import Annotated, NoReturn

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from voxgate_engine.faults import Fault
from voxgate_engine.items import ItemInput
from voxgate_engine.limits import MAX_ITEMS, MAX_METADATA_PAIRS
from voxgate_engine.session import (
    AudioFormat,
    MaxOutputTokens,
    Modalities,
    Prompt,
    Reasoning,
    SessionPatch,
    ToolChoice,
    Tools,
    Voice,
)

__all__ = [
    "Append",
    "CancelResponse",
    "ClearInput",
    "ClearOutput",
    "ClientEvent",
    "Commit",
    "CreateItem",
    "CreateResponse",
    "DeleteItem",
    "ResponseParams",
    "RetrieveItem",
    "TruncateItem",
    "UpdateSession",
    "parse_client_event",
]

EventId = Annotated[str, Meta(max_length=512)]
ItemId = Annotated[str, Meta(min_length=1, max_length=64)]


class _Event(Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    event_id: EventId | None = None


class UpdateSession(_Event, tag="session.update"):
    """``session.update``: set the fields that are present."""

    session: SessionPatch


class Append(_Event, tag="input_audio_buffer.append"):
    """``input_audio_buffer.append``: ``audio`` is base64 on the wire, bytes here."""

    audio: bytes


class Commit(_Event, tag="input_audio_buffer.commit"):
    """``input_audio_buffer.commit``: make a user item of the buffer."""


class ClearInput(_Event, tag="input_audio_buffer.clear"):
    """``input_audio_buffer.clear``: forget the buffer."""


class ClearOutput(_Event, tag="output_audio_buffer.clear"):
    """``output_audio_buffer.clear``: known, and refused, because it belongs to WebRTC and SIP."""


class CreateItem(_Event, tag="conversation.item.create"):
    """``conversation.item.create``: ``previous_item_id`` is an id, ``root``, or absent for the end."""

    item: ItemInput
    previous_item_id: ItemId | None = None


class RetrieveItem(_Event, tag="conversation.item.retrieve"):
    """``conversation.item.retrieve``: the item, audio included."""

    item_id: str


class DeleteItem(_Event, tag="conversation.item.delete"):
    """``conversation.item.delete``: remove an item."""

    item_id: str


class TruncateItem(_Event, tag="conversation.item.truncate"):
    """``conversation.item.truncate``: cut an assistant's audio at ``audio_end_ms`` milliseconds."""

    item_id: str
    content_index: int
    audio_end_ms: Annotated[int, Meta(ge=0)]


class _ResponseAudioOutput(Struct, forbid_unknown_fields=True, kw_only=True):
    format: AudioFormat | None = None
    voice: Voice | None = None


class _ResponseAudio(Struct, forbid_unknown_fields=True, kw_only=True):
    output: _ResponseAudioOutput | None = None


class ResponseParams(Struct, forbid_unknown_fields=True, kw_only=True):
    """What one response does differently from its session."""

    audio: _ResponseAudio | None = None
    conversation: str | None = None
    input: Annotated[list[ItemInput], Meta(max_length=MAX_ITEMS)] | None = None
    instructions: str | None = None
    max_output_tokens: MaxOutputTokens | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
            Meta(max_length=MAX_METADATA_PAIRS),
        ]
        | None
    ) = None
    output_modalities: Modalities | None = None
    parallel_tool_calls: bool | None = None
    prompt: Prompt | None = None
    reasoning: Reasoning | None = None
    tool_choice: ToolChoice | None = None
    tools: Tools | None = None


class CreateResponse(_Event, tag="response.create"):
    """``response.create``: ask for a response."""

    response: ResponseParams | None = None


class CancelResponse(_Event, tag="response.cancel"):
    """``response.cancel``: stop one response, or the conversation's own when none is named."""

    response_id: str | None = None


ClientEvent = (
    UpdateSession
    | Append
    | Commit
    | ClearInput
    | ClearOutput
    | CreateItem
    | RetrieveItem
    | DeleteItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
)

_DECODER: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)


class _Envelope(Struct):
    type: str | UnsetType = UNSET
    event_id: object = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_KNOWN_TYPES = sorted(
    str(event.__struct_config__.tag)
    for event in (
        UpdateSession, Append, Commit, ClearInput, ClearOutput, CreateItem, RetrieveItem, DeleteItem, TruncateItem,
        CreateResponse, CancelResponse,
    )
)  # fmt: skip

_PATH = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]*)`")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<field>[^`]*)`")


def parse_client_event(message: str | bytes) -> ClientEvent:
    """Read one text message. Raises :class:`Fault`, and nothing else, for anything that is no client event."""
    try:
        return _DECODER.decode(message)
    except msgspec.ValidationError as error:
        _refuse(str(error), _envelope_of(message))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Fault("invalid_json", "The message is not a JSON text event that can be read.") from None


def _envelope_of(message: str | bytes) -> _Envelope:
    try:
        return _ENVELOPE.decode(message)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Envelope()


def _refuse(complaint: str, envelope: _Envelope) -> NoReturn:
    """Turn msgspec's sentence into the API's codes; the path it names becomes ``param``."""
    event_id = envelope.event_id if isinstance(envelope.event_id, str) else None
    located = _PATH.search(complaint)
    path = located["path"] if located else ""
    sentence = complaint[: located.start()] if located else complaint
    if path == "type" and isinstance(envelope.type, str):
        known = ", ".join(f"'{name}'" for name in _KNOWN_TYPES)
        message = f"Invalid value: '{envelope.type[:64]}'. Supported values are: {known}."
        raise Fault("invalid_value", message, param="type", event_id=event_id) from None
    for pattern, code, label in (
        (_MISSING, "missing_required_parameter", "Missing required"),
        (_UNKNOWN, "unknown_parameter", "Unknown"),
    ):
        found = pattern.match(sentence)
        if found:
            param = f"{path}.{found['field']}" if path else found["field"]
            raise Fault(code, f"{label} parameter: '{param}'.", param=param, event_id=event_id) from None
    code = "invalid_type" if ", got `" in sentence else "invalid_value"
    where = f" for '{path}'" if path else ""
    raise Fault(code, f"Invalid value{where}: {sentence}.", param=path or None, event_id=event_id) from None
