"""Events of the Realtime protocol as the relay needs them: the names, and as little of each body as will do.

Source: the OpenAI Realtime API reference, GA shape; names checked against ``openai.types.realtime``.
"""

from typing import Final

import msgspec

from voxgate_core import VoxgateError

__all__ = [
    "APPEND",
    "COMMIT",
    "COMMIT_ROOM",
    "ClientHead",
    "ServerHead",
    "is_commit",
    "screen_client",
    "screen_upstream",
]

APPEND: Final = "input_audio_buffer.append"
COMMIT: Final = "input_audio_buffer.commit"

COMMIT_ROOM: Final = 1024
"""Bytes of a commit at most, its ``event_id`` included: a longer message is none, and is not read to find out."""

_KEY_ROOM: Final = len(',"type":""')
"""The fewest bytes in which an object can repeat its ``type``. Fewer spare bytes than this: it does not."""

_APPEND_FRAME: Final = len('{"type":"input_audio_buffer.append","audio":}')
_EVENT_ID_FRAME: Final = len(',"event_id":')


class ClientHead(msgspec.Struct, gc=False):
    """What the relay reads of a client event: its type, and how long the rest of an append is."""

    type: str
    event_id: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()


class ServerHead(msgspec.Struct, gc=False):
    """What the relay reads of an upstream event."""

    type: str


_decode_client = msgspec.json.Decoder(ClientHead).decode
_decode_server = msgspec.json.Decoder(ServerHead).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def screen_client(message: bytes) -> bytes:
    """The bytes to forward for one client message.

    An append goes on as the same bytes. Of every other event the fields are read and written anew, each value as it
    came, so that a field written twice, or with escapes, cannot mean one thing here and another upstream. Whether an
    append hides such a field is told by its length: there is no room for one. No JSON tree is built of either.

    Raises :class:`VoxgateError` ``invalid_message`` for anything but a JSON object with a text ``type``.
    """
    try:
        if not message.isascii():
            message.decode()  # msgspec skips the strings it does not read without checking their UTF-8
        head = _decode_client(message)
        if head.type == APPEND:
            spare = len(message) - len(head.audio) - _APPEND_FRAME
            if spare >= _KEY_ROOM and head.event_id:
                spare -= len(head.event_id) + _EVENT_ID_FRAME
            if spare < _KEY_ROOM and head.audio:
                return message
        event = _decode_fields(message)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise VoxgateError("invalid_message") from error
    for key in event:
        if key != "type" and key.lower() == "type":  # some servers match keys whatever their case
            raise VoxgateError("invalid_message", "an event has one 'type', in lower case")
    return _encode(event)


def is_commit(message: bytes) -> bool:
    """Whether a screened client message says that the user has finished speaking."""
    return len(message) <= COMMIT_ROOM and _decode_client(message).type == COMMIT


def screen_upstream(message: bytes) -> str:
    """The type of one upstream message, which is forwarded as it is.

    Raises :class:`VoxgateError` ``upstream_failed`` when a client could not read it as a JSON event.
    """
    try:
        if not message.isascii():
            message.decode()
        return _decode_server(message).type
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise VoxgateError("upstream_failed", "the model server sent something that is not an event") from error
