"""What lies in a lane: several events in one record, so that many cost one write to disk. Pure."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from voxgate_fanout.event import MAX_EVENT

__all__ = ["MAX_ITEMS", "MAX_RECORD", "Item", "decode_record", "encode_record", "pack"]

MAX_ITEMS: Final = 256
"""Items of one record."""

MAX_RECORD: Final = MAX_EVENT + 128 * 1024
"""Bytes of one record: the largest event with the longest list of targets, and below what NATS takes by default."""

ROOM: Final = 128 * 1024
"""Bytes of events after which a record is closed: what one record in hand costs in memory, unless one event is larger."""

ITEM_BYTES: Final = 200
"""What an item takes beside its body and its targets, at most: ids, type, numbers."""

TARGET_BYTES: Final = 70
"""What one target takes in an item, at most."""


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One event on its way. ``body`` is what :func:`encode_event` wrote; ``targets`` are the ids of those to get it.

    ``attempt`` is 1 for the first delivery, ``accepted_at`` epoch seconds.
    """

    id: str
    type: str
    body: bytes
    targets: tuple[str, ...]
    accepted_at: float
    attempt: Annotated[int, msgspec.Meta(ge=1)] = 1

    @property
    def size(self) -> int:
        """What it takes in a record, in bytes, at most."""
        return len(self.body) + ITEM_BYTES + len(self.targets) * TARGET_BYTES


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[Item, ...]).decode


def encode_record(items: Sequence[Item]) -> bytes:
    """A record of these items."""
    return _encode(items)


def decode_record(record: bytes) -> tuple[Item, ...]:
    """The items of a record. Raises ``ValueError`` for bytes that are none."""
    try:
        return _decode(record)
    except msgspec.MsgspecError:
        raise ValueError("these bytes are not a record") from None


def pack(items: Iterable[Item], *, most: int = MAX_ITEMS) -> int:
    """How many of the first items go into one record; at least one of them when there is one."""
    count = size = 0
    for item in items:
        size += item.size
        if count and (size > ROOM or count >= most):
            break
        count += 1
    return count
