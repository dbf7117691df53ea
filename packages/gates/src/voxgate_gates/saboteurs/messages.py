"""HTTP/1.1 messages and WebSocket frames, as much of them as a proxy between two well-behaved peers needs. Pure.

Source: RFC 9112 for messages, RFC 6455 section 5.2 for frames. What does not fit is not repaired: the proxy passes the
bytes on, because judging them is the business of what stands behind it.
"""

import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["HEAD_END", "Answer", "Frame", "Headers", "Request", "frame_length", "read_frame"]

HEAD_END: Final = b"\r\n\r\n"

TEXT: Final = 0x1
CLOSE: Final = 0x8
FIN: Final = 0x80
MASKED: Final = 0x80

_request_line = re.compile(r"([A-Z]+) (\S+) HTTP/1\.1").fullmatch
_status_line = re.compile(r"HTTP/1\.1 ([0-9]{3})(?: (.*))?").fullmatch


class Headers:
    """Header lines in their order; names are compared without case."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        self._lines = lines

    def get(self, name: str) -> str:
        """The first value of that name, or nothing."""
        return next((value for known, value in self._lines if known.lower() == name), "")

    def __contains__(self, name: str) -> bool:
        return any(known.lower() == name for known, _ in self._lines)

    def __setitem__(self, name: str, value: str) -> None:
        del self[name]
        self._lines.append((name, value))

    def __delitem__(self, name: str) -> None:
        self._lines = [line for line in self._lines if line[0].lower() != name]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._lines)

    def copy(self) -> "Headers":
        return Headers(list(self._lines))

    def text(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self._lines)


def _headers(lines: list[str]) -> Headers:
    """Raises ``ValueError`` for a line without a colon."""
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a header line without a colon")
        pairs.append((name, value.strip()))
    return Headers(pairs)


@dataclass(slots=True)
class Request:
    """A request. ``target`` is path and query."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""

    @classmethod
    def of_head(cls, head: bytes) -> "Request":
        """Raises ``ValueError`` when the bytes are no HTTP/1.1 request."""
        first, *lines = head.removesuffix(HEAD_END).decode("latin-1").split("\r\n")
        found = _request_line(first)
        if found is None:
            raise ValueError("no request line")
        return cls(found[1], found[2], _headers(lines))

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def is_socket(self) -> bool:
        return self.headers.get("upgrade").lower() == "websocket"

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization").removeprefix("Bearer ")

    @bearer.setter
    def bearer(self, value: str) -> None:
        self.headers["authorization"] = f"Bearer {value}"

    @property
    def origin(self) -> str:
        return self.headers.get("origin")

    @origin.setter
    def origin(self, value: str) -> None:
        self.headers["origin"] = value

    def copy(self) -> "Request":
        return Request(self.method, self.target, self.headers.copy(), self.body)

    def to_bytes(self) -> bytes:
        if not self.is_socket:
            self.headers["connection"] = "close"
        return f"{self.method} {self.target} HTTP/1.1\r\n{self.headers.text()}\r\n".encode("latin-1") + self.body


@dataclass(slots=True)
class Answer:
    """An answer. ``length`` is what Content-Length said where no body follows (HEAD)."""

    status: int
    headers: Headers
    body: bytes = b""
    reason: str = ""

    @classmethod
    def of_head(cls, head: bytes) -> "Answer":
        """Raises ``ValueError`` when the bytes are no HTTP/1.1 answer."""
        first, *lines = head.removesuffix(HEAD_END).decode("latin-1").split("\r\n")
        found = _status_line(first)
        if found is None:
            raise ValueError("no status line")
        return cls(int(found[1]), _headers(lines), reason=found[2] or "")

    def json(self) -> Any:
        """The body's value. Raises ``ValueError`` when it is not JSON."""
        return json.loads(self.body)

    def put(self, value: object) -> None:
        """Take ``value`` for the body."""
        self.body = json.dumps(value, ensure_ascii=False).encode()
        self.headers["content-length"] = str(len(self.body))

    def to_bytes(self) -> bytes:
        if self.status != 101:
            self.headers["connection"] = "close"
        head = f"HTTP/1.1 {self.status} {self.reason}\r\n{self.headers.text()}\r\n"
        return head.encode("latin-1") + self.body


@dataclass(frozen=True, slots=True)
class Frame:
    """One WebSocket frame; ``first`` is its first byte, FIN and opcode together."""

    first: int
    payload: bytes = field(repr=False)

    @classmethod
    def text(cls, event: Mapping[str, object]) -> "Frame":
        return cls(FIN | TEXT, json.dumps(event).encode())

    @classmethod
    def close(cls, code: int, reason: str) -> "Frame":
        return cls(FIN | CLOSE, struct.pack("!H", code) + reason.encode())

    @property
    def close_code(self) -> int | None:
        """The code of a close frame."""
        if self.first != FIN | CLOSE or len(self.payload) < 2:
            return None
        return int(struct.unpack_from("!H", self.payload)[0])

    @property
    def event(self) -> dict[str, Any] | None:
        """The JSON object of an unfragmented text frame."""
        if self.first != FIN | TEXT:
            return None
        try:
            value = json.loads(self.payload)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def to_bytes(self, mask: bytes | None = None) -> bytes:
        """The frame as it is sent; with a ``mask`` of four bytes as a client sends it."""
        size = len(self.payload)
        bit = MASKED if mask else 0
        if size < 126:
            head = struct.pack("!BB", self.first, bit | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", self.first, bit | 126, size)
        else:
            head = struct.pack("!BBQ", self.first, bit | 127, size)
        return head + self.payload if mask is None else head + mask + _masked(self.payload, mask)


def frame_length(data: bytes | bytearray) -> int | None:
    """Bytes of the frame that ``data`` begins with, once its head is there."""
    if len(data) < 2:
        return None
    size, at = data[1] & 0x7F, 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(data) < at + width:
            return None
        size = int.from_bytes(data[at : at + width])
        at += width
    return at + (4 if data[1] & MASKED else 0) + size


def read_frame(data: bytes) -> Frame:
    """The frame that these bytes are, unmasked. ``data`` is as long as :func:`frame_length` says."""
    size, at = data[1] & 0x7F, 2
    if size >= 126:
        at += 2 if size == 126 else 8
    if not data[1] & MASKED:
        return Frame(data[0], data[at:])
    return Frame(data[0], _masked(data[at + 4 :], data[at : at + 4]))


def _masked(payload: bytes, mask: bytes) -> bytes:
    # As one large number: 16 MiB byte by byte would take seconds.
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)
