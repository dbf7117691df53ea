"""What both ends of a relay have in common: a transport, flow control, liveness and a bounded goodbye."""

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from voxgate_realtime.closing import fit_reason
from voxgate_realtime.frames import Assembler
from voxgate_realtime.limits import RelayLimits

__all__ = ["TEXT", "UNTIMED", "Send", "Side", "bytes_received", "nothing"]

_TCP_INFO_BYTES_RECEIVED: Final = 128
"""Where ``tcpi_bytes_received`` begins in Linux's ``struct tcp_info``, since 4.1."""

_TCP_INFO_SIZE: Final = _TCP_INFO_BYTES_RECEIVED + 8

Send = Callable[[WSMsgType, bytes], None]

UNTIMED: Final = 0b111111
"""Every 64th message of a side is timed, its first one included: a mask costs less than a clock."""

TEXT: Final = WSMsgType.TEXT
PING: Final = WSMsgType.PING
PONG: Final = WSMsgType.PONG


class Side(WSListener):
    """One end. ``flow_changed`` is called when this end fills up or drains, ``stalled`` when it stays full.

    While ``flowing``, whole text messages take the short way: screened, counted in ``messages`` and ``bytes``, and
    given to ``forward``, which is the other end's ``send``. The attributes are plain because that way is hot.
    """

    # Slots: an attribute of a C class's heir is otherwise looked up in a dict, and these are read for every message.
    __slots__ = (
        "_close_timer",
        "_flow_changed",
        "_heard_at_check",
        "_held_ping",
        "_limits",
        "_loop",
        "_pinged",
        "_reading",
        "_stall_timer",
        "_stalled",
        "assembler",
        "bytes",
        "controls",
        "flowing",
        "forward",
        "full",
        "messages",
        "transport",
    )

    def __init__(
        self,
        limits: RelayLimits,
        loop: asyncio.AbstractEventLoop,
        *,
        flow_changed: Callable[[], None],
        stalled: Callable[[], None],
    ) -> None:
        self.transport: WSTransport | None = None
        self.assembler = Assembler(limits.max_message)
        self.full = False
        self.flowing = False
        self.forward: Send = _discard
        self.messages = 0
        self.bytes = 0
        self.controls = 0
        self._limits = limits
        self._loop = loop
        self._flow_changed = flow_changed
        self._stalled = stalled
        self._reading = True
        self._held_ping: bytes | None = None
        self._heard_at_check = 0
        self._pinged = False
        self._stall_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    def adopt(self, transport: WSTransport) -> None:
        """Take the transport that was opened for this side."""
        self.transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=self._limits.high_water)
        sock: socket.socket = transport.underlying_transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._limits.receive_buffer)

    def tell(self, *, flow_changed: Callable[[], None], stalled: Callable[[], None]) -> None:
        """Tell another session from now on."""
        self._flow_changed, self._stalled = flow_changed, stalled

    def count_on_from(self, other: "Side") -> None:
        """Go on counting where another connection of the same client stopped."""
        self.messages, self.bytes = other.messages, other.bytes
        other.messages = other.bytes = 0

    def say(self, message: bytes) -> None:
        """Send a text message of our own to this side."""
        if self.transport is not None:
            self.transport.send(TEXT, message)

    def pass_on(self, message: bytes) -> None:
        """Count a screened message of this side, and forward it."""
        self.messages += 1
        self.bytes += len(message)
        self.forward(TEXT, message)

    def read_when(self, wanted: bool) -> None:
        """Read from this side, or leave its bytes to the kernel and so to TCP's own back-pressure."""
        if self.transport is None or self.transport.is_disconnected or wanted is self._reading:
            return
        self._reading = wanted
        if wanted:
            self.transport.underlying_transport.resume_reading()
        else:
            self.transport.underlying_transport.pause_reading()

    def pause_writing(self) -> None:
        self.full = True
        self._stall_timer = self._loop.call_later(self._limits.stall_timeout, self._stalled)
        self._flow_changed()

    def resume_writing(self) -> None:
        self.full = False
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        if self._held_ping is not None and self.transport is not None:
            self.transport.send_pong(self._held_ping)
            self._held_ping = None
        self._flow_changed()

    def answer_control(self, frame: WSFrame) -> bool:
        """Deal with a ping or a pong; whether the frame was one."""
        self.controls += 1
        if frame.msg_type == PING:
            # Only the latest ping needs its pong (RFC 6455 section 5.5.3), so none pile up for a side that never reads.
            if self.full:
                self._held_ping = frame.get_payload_as_bytes()
            elif self.transport is not None:
                self.transport.send_pong(frame.get_payload_as_bytes())
            return True
        return bool(frame.msg_type == PONG)

    def check_alive(self) -> bool:
        """Called once an interval: ping a side that was silent; ``False`` for one that stayed silent after that."""
        if self.transport is None or self.full or not self._reading:
            return True  # it may well have spoken, or is judged by its stall timer
        heard = self._heard()
        if heard != self._heard_at_check:
            self._heard_at_check = heard
            self._pinged = False
            return True
        if self._pinged:
            return False
        self.transport.send_ping()
        self._pinged = True
        return True

    def release(self) -> None:
        """Let go of the connection, whose read buffer may have grown to the largest frame: a cycle of references
        would keep it until the garbage collector's last generation."""
        self.cancel_timers()
        self.transport = None
        self.forward = _discard
        self.flowing = False
        self._flow_changed = self._stalled = nothing

    def _heard(self) -> int:
        """Grows when this side sends anything. Bytes count: a peer can send no pong in the middle of a long frame."""
        assert self.transport is not None
        received = bytes_received(self.transport.underlying_transport.get_extra_info("socket"))
        return self.messages + self.controls if received is None else received

    def say_goodbye(self, code: int, reason: str) -> None:
        """Send a close frame unless one was sent, and cut the connection if the peer does not answer in time."""
        transport = self.transport
        if transport is None or transport.is_disconnected:
            return
        self.read_when(True)
        if not transport.is_close_frame_sent:
            transport.send_close(WSCloseCode(code), fit_reason(reason))
        if self._close_timer is None:
            self._close_timer = self._loop.call_later(self._limits.close_timeout, transport.disconnect, False)

    def hang_up(self) -> None:
        """Close the connection once what was written is out; the close timer bounds how long that may take."""
        if self.transport is not None:
            self.transport.disconnect()

    def cut(self) -> None:
        """Break the connection at once, without a close frame."""
        if self.transport is not None:
            self.transport.disconnect(False)

    def cancel_timers(self) -> None:
        """Nothing of this side fires after this."""
        for timer in (self._stall_timer, self._close_timer):
            if timer is not None:
                timer.cancel()
        self._stall_timer = self._close_timer = None


def bytes_received(sock: socket.socket) -> int | None:
    """What the peer has sent on a TCP connection so far (Linux, ``tcpi_bytes_received``); ``None`` elsewhere."""
    if sys.platform != "linux":
        return None
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    if len(info) < _TCP_INFO_SIZE:
        return None
    received: int = struct.unpack_from("=Q", info, _TCP_INFO_BYTES_RECEIVED)[0]
    return received


def nothing() -> None:
    """What is left to do for a session that is over."""


def _discard(kind: WSMsgType, message: bytes) -> None:
    """Where messages go before there is another end: what matters of them is held by the session."""
