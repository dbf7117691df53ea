"""Joins the fragments of a message (RFC 6455 section 5.4), within a bound."""

from typing import Final

from voxgate_core import VoxgateError

__all__ = ["Assembler"]

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2


class Assembler:
    """One direction's data frames in, whole text messages out."""

    __slots__ = ("_joined", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._joined: bytearray | None = None

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._joined is not None

    def receive_frame(self, opcode: int, fin: bool, payload: bytes) -> bytes | None:
        """A whole message when this frame ends one, else ``None``.

        Raises :class:`VoxgateError`: ``binary_refused``, ``message_too_large`` over the limit, or
        ``invalid_message`` when frames come in an order the protocol forbids.
        """
        if opcode == BINARY:
            raise VoxgateError("binary_refused")
        if (opcode == CONTINUATION) is (self._joined is None):
            raise VoxgateError("invalid_message", "frames of two messages were mixed")
        if (0 if self._joined is None else len(self._joined)) + len(payload) > self._limit:
            raise VoxgateError("message_too_large", f"a message has at most {self._limit} bytes")
        if self._joined is None:
            if fin:
                return payload
            self._joined = bytearray(payload)
            return None
        self._joined += payload  # one buffer: a list of two-byte fragments would take 20 times their size
        if not fin:
            return None
        message = bytes(self._joined)
        self._joined = None
        return message
