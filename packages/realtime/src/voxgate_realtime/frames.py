"""Joins the fragments of a message (RFC 6455 section 5.4), within a bound."""

from typing import Final

from voxgate_core import VoxgateError

__all__ = ["Assembler"]

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2


class Assembler:
    """One direction's data frames in, whole text messages out."""

    __slots__ = ("_limit", "_parts", "_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] | None = None
        self._size = 0

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._parts is not None

    def receive_frame(self, opcode: int, fin: bool, payload: bytes) -> bytes | None:
        """A whole message when this frame ends one, else ``None``.

        Raises :class:`VoxgateError`: ``binary_refused``, ``message_too_large`` over the limit, or
        ``invalid_message`` when frames come in an order the protocol forbids.
        """
        if opcode == BINARY:
            raise VoxgateError("binary_refused")
        if (opcode == CONTINUATION) is (self._parts is None):
            raise VoxgateError("invalid_message", "frames of two messages were mixed")
        self._size += len(payload)
        if self._size > self._limit:
            raise VoxgateError("message_too_large", f"a message has at most {self._limit} bytes")
        if self._parts is None:
            if fin:
                self._size = 0
                return payload
            self._parts = [payload]
            return None
        if payload:  # an endless run of empty fragments holds no memory
            self._parts.append(payload)
        if not fin:
            return None
        message = b"".join(self._parts)
        self._parts = None
        self._size = 0
        return message
