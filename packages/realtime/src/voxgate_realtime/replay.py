"""What a client that lost its connection has missed: the latest messages of the model server, within bounds.

Rules:

1. A ring holds a session's latest upstream messages in their order, without a gap. Over a bound the oldest goes.
   Where all rings together are over theirs, each that holds more than an equal share is cut to that.
2. What a returning client has missed is everything after the last event it names. Where that event is not held, or
   the client names none and the first message is gone, nobody can tell what it has missed: the answer is ``None``.
3. An event id that was used twice means its first use: a client may hear something twice, and never miss it.
"""

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, TypeVar

import msgspec

from voxgate_realtime.limits import RelayLimits

__all__ = ["ReplayBudget", "ReplayRing", "keeping"]

SHARED_OUT: Final = 7 / 8
"""How much of the budget the shares are of: what stays free is how long it takes until they are looked at again."""

Kind = TypeVar("Kind")


class ReplayBudget:
    """What the rings of one process may hold together; ``left`` is in bytes."""

    __slots__ = ("_total", "left", "rings")

    def __init__(self, limits: RelayLimits) -> None:
        self._total = self.left = limits.resume_total_bytes
        self.rings: set[ReplayRing] = set()

    def share_out(self) -> None:
        """Make room at the cost of those who hold most, whoever it was that went over the budget."""
        share = int(self._total * SHARED_OUT) // len(self.rings)
        for ring in self.rings:
            ring.cut(share)


class ReplayRing:
    """The ring of one session. ``unseen`` counts the bytes that were kept since it was last set to zero."""

    __slots__ = ("_budget", "_bytes", "_held", "_max_bytes", "_max_messages", "is_whole", "unseen")

    def __init__(self, limits: RelayLimits, budget: ReplayBudget) -> None:
        self._max_bytes = limits.resume_bytes
        self._max_messages = limits.resume_messages
        self._budget = budget
        self._held: deque[bytes] = deque()
        self._bytes = 0
        self.is_whole = True
        self.unseen = 0
        budget.rings.add(self)

    def __len__(self) -> int:
        return len(self._held)

    def append(self, message: bytes) -> None:
        """Keep one message, which no one will change. Part of the hot path."""
        size = len(message)
        self._held.append(message)
        self._bytes += size
        self.unseen += size
        self._budget.left -= size
        if self._bytes > self._max_bytes or len(self._held) > self._max_messages:
            self.cut(self._max_bytes)
        if self._budget.left < 0:
            self._budget.share_out()

    def since(self, last_event_id: str | None) -> list[bytes] | None:
        """The messages after the one with this ``event_id``; all, for a client that saw none. ``None``: can't tell."""
        if last_event_id is None:
            return list(self._held) if self.is_whole else None
        for place, message in enumerate(self._held):
            if _event_id(message) == last_event_id:
                return list(islice(self._held, place + 1, None))
        return None

    def clear(self) -> None:
        """Give back what is held: the session is over."""
        self._budget.rings.discard(self)
        self._budget.left += self._bytes
        self._held.clear()
        self._bytes = 0
        self.is_whole = False

    def cut(self, most: int) -> None:
        """Let the oldest messages go until no more than ``most`` bytes are left."""
        held = self._held
        while held and (self._bytes > most or len(held) > self._max_messages):
            size = len(held.popleft())
            self._bytes -= size
            self._budget.left += size
            self.is_whole = False


def keeping(ring: ReplayRing, send: Callable[[Kind, bytes], None]) -> Callable[[Kind, bytes], None]:
    """``send``, but what it sends is in the ring too."""
    keep = ring.append

    def keep_and_send(kind: Kind, message: bytes) -> None:
        keep(message)
        send(kind, message)

    return keep_and_send


class _Head(msgspec.Struct, gc=False):
    event_id: str = ""


_decode_head: Callable[[bytes], _Head] = msgspec.json.Decoder(_Head).decode


def _event_id(message: bytes) -> str:
    try:
        return _decode_head(message).event_id
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return ""  # an id that is no text is none that a client could name
