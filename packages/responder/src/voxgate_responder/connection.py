"""What one HTTP/1.1 connection is waiting for, and how much of a request head it has sent.

The rules, which the table in :attr:`ConnectionState.waits_for` reads from the top:

1. While an answer is outstanding the caller owes nothing. The application bounds its own waiting.
2. A request answered before its body was complete must finish that body soon.
3. A request head, once begun, must be complete soon; so must the first one after connecting.
4. Otherwise the connection is idle, which is the keep-alive timer's business.
"""

from enum import Enum, auto

__all__ = ["HEADER_OVERHEAD", "ConnectionState", "Wait"]

HEADER_OVERHEAD = 4
"""Bytes of ``": "`` and CRLF around each header field."""


class Wait(Enum):
    """What a connection waits for: an answer, the rest of a body, a request head, or nothing at all."""

    ANSWER = auto()
    BODY = auto()
    HEAD = auto()
    IDLE = auto()


class ConnectionState:
    """Follows one connection by the parser's events. ``max_head`` is bytes, trailers counted in."""

    def __init__(self, max_head: int) -> None:
        self._max_head = max_head
        self._parsed = 0  # bytes of the head, and trailers, that the parser has reported
        self._raw = 0  # bytes read while nothing but this head was being sent
        self._unexplained = 0  # bytes of a body, or trailers, that the parser made nothing of yet
        self._eventful = False
        self._message_ended = False
        self._served_before = False
        self.outstanding = 0
        self.heard = False
        self.head_open = False
        self.body_open = False

    @property
    def waits_for(self) -> Wait:
        if self.outstanding:
            return Wait.ANSWER
        if self.body_open:
            return Wait.BODY
        if self.head_open or self.heard or not self._served_before:
            return Wait.HEAD
        return Wait.IDLE

    @property
    def head_too_large(self) -> bool:
        """Whether this message's request line, fields and trailers, parsed or still collecting, pass the bound."""
        return max(self._parsed + self._unexplained, self._raw if self.head_open else 0) > self._max_head

    def read_begins(self) -> None:
        """Bytes have arrived and go to the parser next."""
        self._eventful = self._message_ended = False
        if not self.body_open:
            self.heard = True

    def read_ended(self, size: int) -> None:
        """The parser has taken ``size`` bytes; what it has not reported, it is collecting."""
        if self.head_open and not self._message_ended:
            self._raw += size
        elif self.body_open and not self._eventful:
            self._unexplained += size

    def head_began(self) -> None:
        self.heard = self.head_open = True
        self._parsed = self._raw = 0
        self._explained()

    def head_grew(self, size: int) -> None:
        self._parsed += size
        self._explained()

    def head_ended(self) -> None:
        self.head_open = False
        self.body_open = True
        self.outstanding += 1
        self._explained()

    def body_grew(self) -> None:
        self._explained()

    def message_ended(self) -> None:
        self.body_open = self.heard = False
        self._served_before = self._message_ended = True
        self._explained()

    def answered(self) -> None:
        """One outstanding answer was sent whole, or will never be."""
        self.outstanding -= 1

    def _explained(self) -> None:
        self._eventful = True
        self._unexplained = 0
