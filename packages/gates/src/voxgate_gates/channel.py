"""One WebSocket to the target, and everything that came through it. The shell around ``websockets``."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voxgate_gates.condition import ABSENT
from voxgate_gates.envelope import parse_json

__all__ = ["Channel"]

CLOSE_SECONDS: Final = 8.0
"""How long a check waits for a close it expects: longer than the gateway waits for a credential (5 s)."""

EVENT_SECONDS: Final = 5.0
"""How long a check waits for one event it expects."""

MAX_EVENTS: Final = 2000
"""Events one channel remembers; a target that sends more is not answering a check."""

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
"""Bytes in the events that one channel remembers whole; of later ones only the type is kept."""

MAX_TYPE: Final = 100
"""Characters of such a type."""


class Channel:
    """A connection, or the refusal of one: with ``connection`` ``None``, ``status`` says what HTTP answered.

    ``events`` holds every JSON event received with the monotonic second it came at.
    """

    def __init__(self, connection: ClientConnection | None, *, status: int, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self.events: list[tuple[float, Mapping[str, object]]] = []
        self.sent: list[str | bytes] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self._bytes = 0

    @property
    def is_open(self) -> bool:
        return self._connection is not None and self.close_code is None

    async def send(self, message: Mapping[str, object] | str | bytes, *, remember: bool = True) -> None:
        """Send an event, or text or bytes as they are. On a closed channel nothing happens: the close is the answer."""
        data = json.dumps(message) if isinstance(message, Mapping) else message
        if remember:
            self.sent.append(data)
        if self._connection is None or not self.is_open:
            return
        try:
            await self._connection.send(data)
        except ConnectionClosed as closed:
            self._note_close(closed)

    async def receive(self, seconds: float = EVENT_SECONDS) -> Mapping[str, object] | None:
        """The next event; ``None`` once the channel is closed or when none came in time."""
        if self._connection is None or not self.is_open:
            return None
        try:
            async with asyncio.timeout(seconds):
                message = await self._connection.recv()
        except TimeoutError:
            return None
        except ConnectionClosed as closed:
            self._note_close(closed)
            return None
        event = _event_of(message)
        self._bytes += len(message.encode() if isinstance(message, str) else message)
        if len(self.events) < MAX_EVENTS:
            kept = event if self._bytes <= MAX_EVENT_BYTES else {"type": str(event.get("type"))[:MAX_TYPE]}
            self.events.append((time.monotonic(), kept))
        return event

    async def until(self, *types: str, seconds: float = EVENT_SECONDS) -> Mapping[str, object] | None:
        """Receive until an event of one of these types comes; ``None`` on close or when it did not come in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self.is_open:
            event = await self.receive(left)
            if event is not None and event.get("type") in types:
                return event
        return None

    async def closed(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Receive until the target closes; whether it did in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self.is_open:
            await self.receive(left)
        return not self.is_open

    async def refused(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Receive until the target closes, or says anything but ``error``: then it let the client in, and ``False``."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self.is_open:
            event = await self.receive(left)
            if event is not None and event.get("type") != "error":
                return False
        return not self.is_open

    def cut(self) -> None:
        """Break the connection as a network does: without a close frame."""
        if self._connection is not None:
            self._connection.transport.abort()

    @property
    def types(self) -> list[str]:
        """The types of the events received, in order."""
        return [str(event.get("type")) for _, event in self.events]

    def facts(self) -> dict[str, object]:
        """What a condition can ask about a channel.

        STATUS is the handshake's HTTP status (101 when it was accepted), CLOSE_CODE and CLOSE_REASON are those of the
        target's close frame (absent when none came), REASON_BYTES its length in UTF-8, FIRST the first event, ERROR
        the last ``error`` event's ``error``, EVENTS the types of all events, SUBPROTOCOL what was agreed on.
        """
        errors = [event.get("error", ABSENT) for _, event in self.events if event.get("type") == "error"]
        agreed = None if self._connection is None else self._connection.subprotocol
        is_closed = self.close_code is not None
        return {
            "STATUS": self.status,
            "HEADER": self.headers,
            "CLOSE_CODE": self.close_code if is_closed else ABSENT,
            "CLOSE_REASON": self.close_reason if is_closed else ABSENT,
            "REASON_BYTES": len(self.close_reason.encode()) if is_closed else ABSENT,
            "FIRST": self.events[0][1] if self.events else ABSENT,
            "ERROR": errors[-1] if errors else ABSENT,
            "EVENTS": self.types,
            "SUBPROTOCOL": agreed if agreed is not None else ABSENT,
        }

    def _note_close(self, closed: ConnectionClosed) -> None:
        # 1006 is what a browser reports when no close frame came (RFC 6455 section 7.1.5).
        frame = closed.rcvd
        self.close_code = 1006 if frame is None else int(frame.code)
        self.close_reason = "" if frame is None else frame.reason


def _event_of(message: str | bytes) -> Mapping[str, object]:
    if isinstance(message, bytes):
        return {"type": "(binary)"}
    event = parse_json(message)
    if event is ABSENT:
        return {"type": "(not JSON)"}
    return event if isinstance(event, dict) else {"type": "(not an object)"}
