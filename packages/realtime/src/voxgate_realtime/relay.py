"""One relayed session: a client, an upstream, and the I/O between them.

The hot path is :meth:`ClientSide.on_ws_frame` and :meth:`UpstreamSide.on_ws_frame`: screen, count, send. Neither
awaits, creates a task, logs, or builds a JSON tree for an audio message.
"""

import asyncio
import logging
from collections.abc import Callable
from contextvars import copy_context
from time import perf_counter
from typing import Final, TypeVar

from picows import WSFrame, WSMsgType, WSTransport

from voxgate_core import ERRORS, Grant, Trace, VoxgateError, current_trace
from voxgate_realtime.closing import REASONS, client_code, error_event, may_be_received, upstream_code
from voxgate_realtime.context import RelayContext
from voxgate_realtime.dialling import dial
from voxgate_realtime.events import screen_client, screen_upstream
from voxgate_realtime.frame_protocol import sender
from voxgate_realtime.handshake import Credential, Dialect, auth_success, read_auth_message
from voxgate_realtime.session import Session, State, Trigger
from voxgate_realtime.sides import TEXT, UNTIMED, Side, nothing
from voxgate_realtime.voice_feed import DEAF, VoiceFeed

__all__ = ["Relay"]

CLOSE: Final = WSMsgType.CLOSE
PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005
ABNORMAL: Final = 1006

T = TypeVar("T")

logger = logging.getLogger("voxgate.realtime")


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
        if self.relay.session.state is not State.CONNECTING:  # the client left, or the connect timeout passed
            self.say_goodbye(1001, "")

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
        self.relay.upstream_gone()


class Relay:
    """Everything one session does, from accept to gone."""

    def __init__(
        self,
        context: RelayContext,
        *,
        dialect: Dialect,
        origin: str | None,
        credential: Credential | VoxgateError | None,
        model: str | None,
        trace: Trace,
        on_proven: Callable[[], None],
        on_gone: Callable[[], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        limits = context.limits
        self.loop = loop
        self.session = Session(limits, context.clock.monotonic())
        self.client = ClientSide(limits, loop, flow_changed=self.settle_flow, stalled=self.client_stalled)
        self.upstream = UpstreamSide(limits, loop, flow_changed=self.settle_flow, stalled=self.upstream_stalled)
        self.client.relay = self.upstream.relay = self
        self.upstream.heard = DEAF
        self.timed = context.timed
        self._context = context
        self._scope = copy_context()
        self._scope.run(current_trace.set, trace)
        self.voice = VoiceFeed(context.events, context.event_source, context.clock, self._scope)
        self._dialect = dialect
        self._origin = origin
        self._credential = credential
        self._model = model
        self._on_proven = on_proven
        self._on_gone = on_gone
        self._holding_room = True
        self._upstream_over = True
        self._task: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def grant(self) -> Grant | None:
        """What the client was allowed, once it has shown a valid credential."""
        return self.session.grant

    @property
    def is_open(self) -> bool:
        """Whether messages pass both ways."""
        return self.session.state is State.OPEN

    # -- opening ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The client was accepted: find out who it is."""
        transport = self.client.transport
        assert transport is not None
        self.upstream.forward = sender(transport)
        self.upstream.flowing = True
        try:
            self._context.sessions.enter(self, with_credential=isinstance(self._credential, Credential))
        except VoxgateError as error:
            self.refuse(error)
            return
        self._after(self._context.limits.auth_timeout, VoxgateError("credential_timeout"))
        if isinstance(self._credential, VoxgateError):
            self.refuse(self._credential)
        elif self._credential is not None:
            self._admit(self._credential)
        elif self._dialect is Dialect.OPENAI:
            self.refuse(VoxgateError("credential_missing"))

    def receive_client(self, message: bytes) -> None:
        """A whole client message that is not on the hot path."""
        state = self.session.state
        if state is State.AUTHENTICATING and self._task is None:
            self._admit(read_auth_message(message))
        elif state in (State.AUTHENTICATING, State.CONNECTING):
            self._hold(screen_client(message))
        elif state is State.OPEN:
            self.client.pass_on(screen_client(message))

    def _admit(self, credential: Credential) -> None:
        self.client.read_when(False)  # until we know who sends it, nobody's bytes are worth our memory
        self._task = self.loop.create_task(self._open(credential), context=self._scope)

    async def _open(self, credential: Credential) -> None:
        context = self._context
        try:
            grant = await context.verifier.verify(
                credential.token, origin=self._origin, single_use=self._dialect in context.single_use
            )
            context.sessions.authenticated(self, grant)
            if not self.session.advance(Trigger.AUTHENTICATED):
                return
            self.session.grant = grant
            self._cancel_timers()
            self._welcome(grant)
            url = context.upstream.url_for(self._model)
            self._upstream_over = False
            transport = await dial(context, url, self.upstream)
            self._connected(transport)
        except VoxgateError as error:
            self.refuse(error)
        except Exception:
            logger.exception("a session could not be opened")
            self.refuse(VoxgateError("internal_error"))

    def _welcome(self, grant: Grant) -> None:
        context = self._context
        self._on_proven()
        self._tell(context.observer.opened, grant)
        model = context.upstream.model if self._model is None else self._model
        self.upstream.heard = self.voice.start(grant, origin=self._origin, dialect=self._dialect.value, model=model)
        if self._dialect is Dialect.NATIVE:
            event = auth_success(grant.session_id, expires_at=grant.expires_at, resumed=False, received=0)
            self.client.say(event)
        limit = VoxgateError("session_limit")
        if self.session.is_leashed:
            limit = VoxgateError("quota_exceeded", "the session's time is used up")
        self._after(self.session.seconds_allowed, limit)
        self.settle_flow()

    def _connected(self, transport: WSTransport) -> None:
        if not self.session.advance(Trigger.UPSTREAM_READY):
            self.upstream.say_goodbye(1001, "")
            return
        self.client.forward = transport.send
        for message in self.session.take_pending():
            self.client.pass_on(message)
        self.client.flowing = not self.client.assembler.partial
        self._holding_room = True
        self.settle_flow()
        self._check_liveness_later()

    def _hold(self, message: bytes) -> None:
        self._holding_room = self.session.hold(message)
        self.settle_flow()

    # -- flowing ---------------------------------------------------------------------------------------------------

    def settle_flow(self) -> None:
        """Read from each side only while the other takes what it gets."""
        if self.session.state in (State.CONNECTING, State.OPEN):
            self.client.read_when(self._holding_room and not self.upstream.full)
            self.upstream.read_when(not self.client.full)

    def client_stalled(self) -> None:
        """The client left us above the high-water mark for too long: there is no room even for a close frame."""
        self.session.end(ERRORS["client_stalled"].close_code, ERRORS["client_stalled"].title)
        if self.client.transport is not None:
            self.client.transport.disconnect(False)

    def upstream_stalled(self) -> None:
        """The model server stopped reading."""
        self.refuse(VoxgateError("upstream_failed", "the model server stopped reading"))

    def _check_liveness_later(self) -> None:
        self._timers.append(self.loop.call_later(self._context.limits.ping_interval, self._check_liveness))

    def _check_liveness(self) -> None:
        self._timers = [timer for timer in self._timers if timer.when() > self.loop.time()]
        if not self.client.check_alive():
            self._end(ABNORMAL, "the client went silent")
            self.client.hang_up()
        elif not self.upstream.check_alive():
            self.refuse(VoxgateError("upstream_failed", "the model server went silent"))
        else:
            self._check_liveness_later()

    # -- closing ---------------------------------------------------------------------------------------------------

    def refuse(self, error: VoxgateError) -> None:
        """End the session for a reason of the error table: an error event, then its close code."""
        if self.session.state in (State.CLOSING, State.CLOSED):
            return
        if self.session.grant is None:
            self._tell(self._context.observer.refused, error)
        self.client.say(error_event(error))
        self._end(error.kind.close_code, error.message)

    def client_said_goodbye(self, code: int) -> None:
        """The client sent a close frame: echo it, hang up, and tell the upstream."""
        code = code or NO_STATUS
        if code != NO_STATUS and not may_be_received(code):
            code = PROTOCOL_ERROR
        self._end(code if code != NO_STATUS else 1000, "", upstream=upstream_code(code))
        self.client.hang_up()

    def upstream_said_goodbye(self, code: int, reason: str) -> None:
        """The model server sent a close frame: pass on what it means."""
        seen = client_code(code or NO_STATUS)
        if seen == ERRORS["upstream_failed"].close_code:
            self.refuse(VoxgateError("upstream_failed", f"the model server ended the session with code {code}"))
        else:
            self._end(seen, reason or REASONS.get(seen, ""))
        self.upstream.hang_up()

    def upstream_misbehaved(self, error: VoxgateError) -> None:
        """The model server sent what no client could read."""
        self._scope.copy().run(logger.warning, "the upstream broke the protocol", extra={"reason": error.message})
        self.refuse(VoxgateError("upstream_failed", "the model server broke the protocol"))

    def upstream_gone(self) -> None:
        """The upstream's connection is gone; without a close frame that is a failure."""
        self.refuse(VoxgateError("upstream_failed", "the connection to the model server broke"))
        self._upstream_over = True
        self.upstream.release()
        self._release_when_both_are_gone()

    def client_gone(self, transport: WSTransport) -> None:
        """The client's connection is gone: nothing of this session stays behind."""
        sent = getattr(transport.close_handshake, "sent", None)
        if sent is not None:  # picows itself closes for a broken frame
            self.session.end(int(sent.code), sent.reason)
        self.session.advance(Trigger.DISCONNECTED)
        self._cancel_timers()
        if self._task is not None:
            self._task.cancel()
        self.upstream.say_goodbye(upstream_code(ABNORMAL), "the client is gone")
        self._context.sessions.leave(self)
        summary = self.session.summary(
            self._context.clock.monotonic(),
            client=(self.client.messages, self.client.bytes),
            upstream=(self.upstream.messages, self.upstream.bytes),
        )
        if summary is not None:
            self._tell(self._context.observer.closed, summary)
            self.upstream.heard = self.voice.end(summary)
        self._on_gone()
        self.client.release()
        self._release_when_both_are_gone()

    def _end(self, code: int, reason: str, *, upstream: int | None = None) -> None:
        if not self.session.end(code, reason):
            return
        self.client.flowing = False
        self._cancel_timers()
        self.client.say_goodbye(code if code != ABNORMAL else 1001, reason)
        if self.session.grant is None and not self._context.sessions.refused(self):
            self.client.hang_up()
        self.upstream.say_goodbye(upstream_code(code) if upstream is None else upstream, "")

    def _release_when_both_are_gone(self) -> None:
        if self.session.state is State.CLOSED and self._upstream_over:
            self._task = None
            self._on_proven = self._on_gone = nothing
            # Each side knows its relay and the relay its sides: without this only the garbage collector parts them.
            del self.client.relay, self.upstream.relay

    def _tell(self, hear: Callable[[T], None], what: T) -> None:
        """Call an observer in the trace of this session. A context can be entered once at a time, its copy any time."""
        self._scope.copy().run(hear, what)

    def _after(self, seconds: float, error: VoxgateError) -> None:
        self._timers.append(self.loop.call_later(seconds, self.refuse, error))

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
