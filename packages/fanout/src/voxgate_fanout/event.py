"""Events at the gateway's door and on the wire: posted bodies read strictly, CloudEvents written and read back. Pure.

Sources: CloudEvents 1.0 (its "JSON Event Format", structured mode); RFC 3339 (times).
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
from jsonschema import Draft202012Validator
from msgspec import UNSET, UnsetType

from voxgate_core import Event, VoxgateError, read_json
from voxgate_fanout.schemas import load_schema

__all__ = [
    "CONTENT_TYPE",
    "MAX_EVENT",
    "TARGET_DISABLED",
    "decode_event",
    "encode_event",
    "new_event_id",
    "read_event",
]

CONTENT_TYPE: Final = "application/cloudevents+json"

MAX_EVENT: Final = 256 * 1024
"""Bytes of a posted body, and of the event as it is delivered; a longer one is refused."""

MAX_UNKNOWN: Final = 8
"""Unknown members that one refusal names; the others are left out of it."""

MAX_NAME_SHOWN: Final = 64
"""Characters of an unknown member's name that a refusal repeats."""

TARGET_DISABLED: Final = "voxgate.target.disabled"
"""A notice of the gateway's own: types that begin with ``voxgate.`` can't be posted."""


class _CloudEvent(msgspec.Struct, frozen=True, gc=False):
    """The envelope on the wire. ``time`` is RFC 3339."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: str
    datacontenttype: Literal["application/json"]
    data: Mapping[str, Any]
    subject: str | UnsetType = UNSET


def read_event(body: bytes, *, source: str, now: float, event_id: str) -> Event:
    """Read the body of ``POST /api/voice/fanout``: ``{type, subject?, data}``, and ``id``, ``source`` and ``time`` if
    the caller sets them; where not, ``event_id``, ``source`` and ``now`` (epoch seconds) are taken.

    Raises :class:`VoxgateError`: ``body_too_large``; ``malformed_json`` with the reason ``utf8``, ``syntax``,
    ``duplicate_key``, ``constant`` (NaN, Infinity, or a number too large for a double), ``surrogate`` or ``nesting``;
    ``invalid_input`` whose details name each wrong field and what it must be.
    """
    if len(body) > MAX_EVENT:
        raise VoxgateError("body_too_large", f"an event has {MAX_EVENT} bytes at most")
    given = read_json(body)
    faults = _faults(given)
    if faults or not isinstance(given, dict):
        raise VoxgateError("invalid_input", details=faults)
    try:
        time = _epoch(given["time"]) if "time" in given else now
    except (ValueError, OverflowError):
        raise VoxgateError("invalid_input", details={"time": _PROPERTIES["time"]["description"]}) from None
    return Event(
        id=given.get("id", event_id),
        source=given.get("source", source),
        type=given["type"],
        time=time,
        subject=given.get("subject"),
        data=given["data"],
    )


def new_event_id() -> str:
    """An id nobody can guess: ``evt_`` and 32 hex digits."""
    return f"evt_{secrets.token_hex(16)}"


def encode_event(event: Event) -> bytes:
    """The event as targets get it; its time is cut to milliseconds, and NaN and infinity become ``null``.

    Raises :class:`VoxgateError` ``body_too_large`` past :data:`MAX_EVENT`, ``invalid_input`` when the data is not JSON
    data or the time not in the years 1 to 9999.
    """
    try:
        time = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds")
        encoded = _encode(
            _CloudEvent(
                "1.0",
                event.id,
                event.source,
                event.type,
                time.replace("+00:00", "Z"),
                "application/json",
                event.data,
                UNSET if event.subject is None else event.subject,
            )
        )
    except (TypeError, ValueError, OverflowError, OSError, RecursionError) as error:
        raise VoxgateError("invalid_input", "the event can't be written as JSON") from error
    if len(encoded) > MAX_EVENT:
        raise VoxgateError("body_too_large", f"an event has {MAX_EVENT} bytes at most")
    return encoded


def decode_event(encoded: bytes) -> Event:
    """The event that :func:`encode_event` wrote. Raises ``ValueError`` for anything else."""
    try:
        read = _decode(encoded)
        time = _epoch(read.time)
    except (ValueError, OverflowError, RecursionError):
        raise ValueError("these bytes are not an event written by encode_event") from None
    subject = None if read.subject is UNSET else read.subject
    return Event(read.id, read.source, read.type, time, subject, read.data)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):  # such as a MappingProxyType, which msgspec does not know
        return dict(value)
    raise TypeError("not JSON data")


_encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode
_decode: Final = msgspec.json.Decoder(_CloudEvent).decode


def _epoch(time: str) -> float:
    """Epoch seconds of an RFC 3339 time. Raises ``ValueError`` or ``OverflowError`` for one that no calendar has.

    Leap seconds are refused: seconds since the epoch have no number for them.
    """
    return datetime.fromisoformat(time.upper()).astimezone(UTC).timestamp()


_SCHEMA: Final = load_schema("event")
_PROPERTIES: Final[dict[str, Any]] = _SCHEMA["properties"]
_VALIDATOR: Final = Draft202012Validator(_SCHEMA)


def _faults(given: object) -> dict[str, str]:
    """What the schema refuses: ``{field: what it must be}``, in the words of the schema's descriptions."""
    if not isinstance(given, dict):
        return {"body": "must be a JSON object"}
    faults: dict[str, str] = {}
    for error in _VALIDATOR.iter_errors(given):
        if error.validator == "required":
            faults |= {name: "is required" for name in _SCHEMA["required"] if name not in given}
        elif error.validator == "additionalProperties":
            unknown = [name for name in given if name not in _PROPERTIES]
            faults |= {name[:MAX_NAME_SHOWN]: "is not a member of an event" for name in unknown[:MAX_UNKNOWN]}
        else:
            faults.setdefault(str(error.absolute_path[0]), error.schema["description"])
    return faults
