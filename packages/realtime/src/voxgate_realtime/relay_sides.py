"""The two ends of a relayed session, as frames arrive.

The hot path is :meth:`ClientSide.on_ws_frame` and :meth:`UpstreamSide.on_ws_frame`: screen, count, send. Neither
awaits, creates a task, logs, or builds a JSON tree for an audio message.
"""

from time import perf_counter
from typing import TYPE_CHECKING, Final

from picows import WSFrame, WSMsgType, WSTransport

from voxgate_core import VoxgateError
from voxgate_realtime.events import screen_client, screen_upstream
from voxgate_realtime.session import State
from voxgate_realtime.sides import TEXT, UNTIMED, Side

if TYPE_CHECKING:
    from voxgate_realtime.relay import Relay

__all__ = ["ClientSide", "UpstreamSide"]

CLOSE: Final = WSMsgType.CLOSE


class ClientSide(Side):
    """Frames from the client."""

    __slots__ = ("relay",)
    relay: "Relay"

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.adopt(transport)
        self.relay.begin()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == TEXT and frame.fin and self.flowing and not (frame.rsv1 or frame.rsv2 or frame.rsv3):
            began = 0.0 if self.messages & UNTIMED else perf_counter()
            payload = frame.get_payload_as_bytes()
            try:
                message = screen_client(payload)
            except VoxgateError as error:
                self.relay.refuse(error)
                return
            self.messages += 1
            self.bytes += len(message)
            self.forward(TEXT, message)
            if began:
                self.relay.timed(perf_counter() - began)
            if message is not payload:  # no append
                self.relay.voice.hear_client(message)
        else:
            self.on_uncommon_frame(frame)

    def pass_on(self, message: bytes) -> None:
        super().pass_on(message)
        self.relay.voice.hear_client(message)

    def on_uncommon_frame(self, frame: WSFrame) -> None:
        """Control frames, fragments, and everything that arrives before the session is open."""
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.relay.refuse(VoxgateError("invalid_message", "a reserved bit was set, and no extension was agreed"))
        elif frame.msg_type == CLOSE:
            self.relay.client_said_goodbye(frame.get_close_code().value)
        elif not self.answer_control(frame):
            try:
                message = self.assembler.receive_frame(frame.msg_type.value, frame.fin, frame.get_payload_as_bytes())
                if message is not None:
                    self.relay.receive_client(message)
            except VoxgateError as error:
                self.relay.refuse(error)
            self.flowing = self.relay.is_open and not self.assembler.partial

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.relay.client_gone(transport)


class UpstreamSide(Side):
    """Frames from the model server; after one of a type in ``heard`` was sent on, the session's feed looks at it."""

    __slots__ = ("heard", "relay")
    relay: "Relay"
    heard: frozenset[str]

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.adopt(transport)
        relay = self.relay
        if relay.upstream is not self or relay.session.state is not State.CONNECTING:
            self.say_goodbye(1001, "")  # the client left, the connect timeout passed, or another one was dialled

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == TEXT and frame.fin and self.flowing:
            began = 0.0 if self.messages & UNTIMED else perf_counter()
            message = frame.get_payload_as_bytes()
            try:
                kind = screen_upstream(message)
            except VoxgateError as error:
                self.relay.upstream_misbehaved(error)
                return
            self.messages += 1
            self.bytes += len(message)
            self.forward(TEXT, message)
            if began:
                self.relay.timed(perf_counter() - began)
            if kind in self.heard:
                self.heard = self.relay.voice.hear(kind, message)
        else:
            self.on_uncommon_frame(frame)

    def on_uncommon_frame(self, frame: WSFrame) -> None:
        """Control frames and fragments."""
        if self.relay.upstream is not self:
            return
        if frame.msg_type == CLOSE:
            self.relay.upstream_said_goodbye(frame.get_close_code().value, frame.get_close_reason())
        elif not self.answer_control(frame):
            try:
                message = self.assembler.receive_frame(frame.msg_type.value, frame.fin, frame.get_payload_as_bytes())
                if message is not None:
                    kind = screen_upstream(message)
                    self.pass_on(message)
                    if kind in self.heard:
                        self.heard = self.relay.voice.hear(kind, message)
            except VoxgateError as error:
                self.relay.upstream_misbehaved(error)
            self.flowing = not self.assembler.partial

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.relay.upstream is self:
            self.relay.upstream_gone()
