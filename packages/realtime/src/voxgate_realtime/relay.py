"""One relayed session: from accept to gone, over as many connections of its client as it takes.

What happens to each message is in :mod:`voxgate_realtime.relay_sides`; here is all the rest, which happens rarely.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Final, TypeVarTuple

from picows import WSMsgType, WSTransport

from voxgate_core import ERRORS, Grant, ResumeOutcome, Trace, VoxgateError, current_trace
from voxgate_realtime.carrying import Far, carried_code
from voxgate_realtime.closing import ABNORMAL, REASONS, client_code, error_event, may_be_received, upstream_code
from voxgate_realtime.connection import Connection, NoConnection
from voxgate_realtime.context import RelayContext
from voxgate_realtime.dialling import dial
from voxgate_realtime.events import screen_client
from voxgate_realtime.frame_protocol import sender
from voxgate_realtime.handshake import Credential, Dialect, Resume, auth_success, read_auth_message
from voxgate_realtime.relay_sides import ClientSide, UpstreamSide
from voxgate_realtime.replay import ReplayRing, keeping
from voxgate_realtime.returning import Here, come_back
from voxgate_realtime.session import Session, State, Trigger
from voxgate_realtime.timers import Timers
from voxgate_realtime.voice_feed import DEAF, VoiceFeed

__all__ = ["Relay"]

PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005
NORMAL: Final = 1000

Ts = TypeVarTuple("Ts")

logger = logging.getLogger("voxgate.realtime")


class Relay:
    """Everything one session does, from accept to gone."""

    def __init__(
        self,
        context: RelayContext,
        *,
        connection: Connection,
        dialect: Dialect,
        origin: str | None,
        credential: Credential | VoxgateError | None,
        model: str | None,
        resume: Resume | None,
        trace: Trace,
    ) -> None:
        loop = asyncio.get_running_loop()
        limits = context.limits
        self.loop = loop
        self.context = context
        self.session = Session(limits, context.clock.monotonic())
        self.client = ClientSide(limits, loop, flow_changed=self.settle_flow, stalled=self.client_stalled)
        self.client.relay = self
        self.upstream = self._new_upstream()
        self.timed = context.timed
        self._scope = copy_context()
        self._scope.run(current_trace.set, trace)
        self.voice = VoiceFeed(context.events, context.event_source, context.clock, self._scope)
        self._dialect = dialect
        self.origin = origin
        self._credential = credential
        self._model = model
        self._resume = resume if dialect is Dialect.NATIVE else None
        self.connection = connection
        self.ring: ReplayRing | None = None
        self.carries = False
        self._holding_room = True
        self._upstream_over = True
        self.task: asyncio.Task[None] | None = None
        self.timers = Timers(loop)
        self.deadline = 0.0

    @property
    def grant(self) -> Grant | None:
        """What the client was allowed, once it has shown a valid credential."""
        return self.session.grant

    @property
    def proofs(self) -> tuple[Grant, ...]:
        """The tokens behind the session."""
        return self.session.proofs

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
        try:
            self.context.sessions.enter(self, with_credential=isinstance(self._credential, Credential))
        except VoxgateError as error:
            self.refuse(error)
            return
        self.timers.after(self.context.limits.auth_timeout, self.refuse, VoxgateError("credential_timeout"))
        if isinstance(self._credential, VoxgateError):
            self.refuse(self._credential)
        elif self._credential is not None:
            self._admit(self._credential)
        elif self._dialect is Dialect.OPENAI:
            self.refuse(VoxgateError("credential_missing"))

    def receive_client(self, message: bytes) -> None:
        """A whole client message that is not on the hot path."""
        state = self.session.state
        if state is State.AUTHENTICATING and self.task is None:
            self._admit(read_auth_message(message))
        elif state in (State.AUTHENTICATING, State.CONNECTING):
            self._hold(screen_client(message))
        elif state is State.OPEN:
            self.client.pass_on(screen_client(message))

    def _admit(self, credential: Credential) -> None:
        self.client.read_when(False)  # until we know who sends it, nobody's bytes are worth our memory
        self.timers.cancel()  # it has shown a credential: from here on it is we who keep it waiting
        self.timers.after(self.context.limits.auth_timeout, self.refuse, VoxgateError("unavailable"))
        self.task = self.loop.create_task(self._open(credential), context=self._scope)

    async def _open(self, credential: Credential) -> None:
        context = self.context
        try:
            single_use = self._dialect in context.single_use
            grant = await context.verifier.verify(credential.token, origin=self.origin, single_use=single_use)
            context.sessions.authenticated(self, grant)
            self.session.proofs = (grant,)
            far = None if self._resume is None else await come_back(self, self._resume, grant)
            if far is Here.RESUMED or not self.session.advance(Trigger.AUTHENTICATED):
                return
            self.session.grant = grant = grant if single_use else grant.for_connection()
            self.timers.cancel()
            self.connection.proven()
            if far is not None and await self._carry(far, grant):
                return
            if self.session.state is State.CONNECTING:  # it may have ended while the other process was dialled
                self._welcome(grant)
                url = context.upstream.url_for(self._model)
                self._connected(await self._dial(url, context.upstream.headers))
        except VoxgateError as error:
            self.refuse(error)
        except Exception:
            logger.exception("a session could not be opened")
            self.refuse(VoxgateError("internal_error"))

    async def _carry(self, far: Far, grant: Grant) -> bool:
        """Stand between the client and the process that holds its session; whether that one can be reached."""
        self.carries = True
        try:
            self._connected(await self._dial(far.url, far.headers))
        except VoxgateError:
            self.carries = False
            self.upstream.release()
            self.upstream = self._new_upstream()
            self.tell(self.context.observer.resume_asked, grant, ResumeOutcome.UNKNOWN)
        return self.carries

    def _new_upstream(self) -> UpstreamSide:
        limits, loop = self.context.limits, self.loop
        side = UpstreamSide(limits, loop, flow_changed=self.settle_flow, stalled=self.upstream_stalled)
        side.relay, side.heard, side.flowing = self, DEAF, True
        if self.client.transport is not None:
            side.forward = sender(self.client.transport)
        return side

    async def _dial(self, url: str, headers: Sequence[tuple[str, str]]) -> WSTransport:
        self._upstream_over = False
        try:
            return await dial(self.context, url, self.upstream, headers)
        except VoxgateError as error:
            if not isinstance(error.__cause__, TimeoutError):  # after that one it may still come, and go
                self._upstream_over = True
            raise

    def _welcome(self, grant: Grant) -> None:
        context = self.context
        self.tell(context.observer.opened, grant)
        model = context.upstream.model if self._model is None else self._model
        self.upstream.heard = self.voice.start(grant, origin=self.origin, dialect=self._dialect.value, model=model)
        if self._dialect is Dialect.NATIVE:
            event = auth_success(grant.session_id, expires_at=grant.expires_at, resumed=False, received=0)
            self.client.say(event)
            if context.sessions.may_wait:
                self.ring = ReplayRing(context.limits, context.replay_budget)
                self.upstream.forward = keeping(self.ring, self.upstream.forward)
        self.deadline = self.loop.time() + self.session.seconds_allowed
        self.end_at_deadline()
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
        self.check_liveness_later()

    def end_at_deadline(self) -> None:
        """Let the session's time run on."""
        self.timers.after(self.deadline - self.loop.time(), self.refuse, self.session.time_is_up())

    def _hold(self, message: bytes) -> None:
        self._holding_room = self.session.hold(message)
        self.settle_flow()

    # -- flowing ---------------------------------------------------------------------------------------------------

    def settle_flow(self) -> None:
        """Read from each side only while the other takes what it gets."""
        if self.session.state in (State.CONNECTING, State.OPEN):
            self.client.read_when(self._holding_room and not self.upstream.full)
            self.upstream.read_when(not self.client.full)
        elif self.session.state is State.DETACHED and self.ring is not None:
            self.upstream.read_when(self.ring.unseen < self.context.limits.resume_bytes // 2)

    def client_stalled(self) -> None:
        """The client left us above the high-water mark for too long: there is no room even for a close frame."""
        if not self._may_wait:
            self.session.end(ERRORS["client_stalled"].close_code, ERRORS["client_stalled"].title)
        if self.client.transport is not None:
            self.client.transport.disconnect(False)

    def upstream_stalled(self) -> None:
        """The model server stopped reading."""
        self.refuse(VoxgateError("upstream_failed", "the model server stopped reading"))

    def check_liveness_later(self) -> None:
        """Look once an interval whether both ends are there."""
        self.timers.after(self.context.limits.ping_interval, self._check_liveness)

    def _check_liveness(self) -> None:
        if not self.client.check_alive():
            if self._may_wait and self.client.transport is not None:
                self.client.transport.disconnect(False)
                return
            self.end(ABNORMAL, "the client went silent")
            self.client.hang_up()
        elif not self.upstream.check_alive():
            self.refuse(VoxgateError("upstream_failed", "the model server went silent"))
        else:
            self.check_liveness_later()

    # -- waiting ---------------------------------------------------------------------------------------------------

    @property
    def _may_wait(self) -> bool:
        """Whether the session waits for its client when the connection breaks."""
        return self.ring is not None and self.context.sessions.may_wait and self.session.state is State.OPEN

    def _wait_for_client(self, ring: ReplayRing) -> None:
        """The connection broke without a close frame: keep the upstream, and what it says, for a while."""
        self.timers.cancel()
        self.client.release()
        ring.unseen = 0
        self.upstream.forward = self._keep
        self.end_at_deadline()
        grace = self.context.limits.resume_grace
        self.timers.after(grace, self.end, ABNORMAL, "the client did not come back")
        self.check_liveness_later()
        assert self.session.grant is not None
        self.tell(self.context.observer.detached, self.session.grant)
        self.context.sessions.detach(self)
        self.settle_flow()

    def _keep(self, _: WSMsgType, message: bytes) -> None:
        """Where the upstream's messages go while the client is away."""
        if self.ring is not None:
            self.ring.append(message)
            self.settle_flow()

    def step_down(self) -> None:
        """This one gave its client away: close the connection it was given for it, if that is still there."""
        self.task = None
        self.end(NORMAL, "the session was resumed on another connection")
        if self.client.transport is None:
            self._finish()

    # -- closing ---------------------------------------------------------------------------------------------------

    def refuse(self, error: VoxgateError) -> None:
        """End the session for a reason of the error table: an error event, then its close code."""
        if self.session.state in (State.CLOSING, State.CLOSED):
            return
        if self.session.grant is None:
            self.tell(self.context.observer.refused, error)
        self.client.say(error_event(error))
        self.end(error.kind.close_code, error.message)

    def client_said_goodbye(self, code: int) -> None:
        """The client sent a close frame: echo it, hang up, and tell the upstream."""
        code = code or NO_STATUS
        if code != NO_STATUS and not may_be_received(code):
            code = PROTOCOL_ERROR
        self.end(code if code != NO_STATUS else 1000, "", upstream=upstream_code(code))
        self.client.hang_up()

    def upstream_said_goodbye(self, code: int, reason: str) -> None:
        """The model server sent a close frame: pass on what it means."""
        seen = carried_code(code) if self.carries else client_code(code or NO_STATUS)
        if not self.carries and seen == ERRORS["upstream_failed"].close_code:
            self.refuse(VoxgateError("upstream_failed", f"the model server ended the session with code {code}"))
        else:
            self.end(seen, reason or REASONS.get(seen, ""))
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
        """The client's connection is gone: the session waits for another one, or nothing of it stays behind."""
        sent = getattr(transport.close_handshake, "sent", None)
        if sent is not None:  # picows itself closes for a broken frame
            self.session.end(int(sent.code), sent.reason)
        self.connection.gone()
        self.connection = NoConnection()
        if self._may_wait and self.ring is not None and self.session.advance(Trigger.LOST):
            self._wait_for_client(self.ring)
        else:
            self._finish()

    def end(self, code: int, reason: str, *, upstream: int | None = None) -> None:
        """Begin to close; a session that waits for its client is over at once."""
        is_detached = self.session.state is State.DETACHED
        if not self.session.end(code, reason):
            return
        self.client.flowing = False
        self.timers.cancel()
        self.client.say_goodbye(code if code != ABNORMAL else 1001, reason)
        if self.session.grant is None and not self.context.sessions.refused(self):
            self.client.hang_up()
        if self.carries and upstream is None:
            self.upstream.cut()  # whoever holds the session may wait for this client: it did not say goodbye itself
        else:
            self.upstream.say_goodbye(upstream_code(code) if upstream is None else upstream, "")
        if is_detached:
            self._finish()

    def _finish(self) -> None:
        """Nobody is there any more."""
        self.session.advance(Trigger.DISCONNECTED)
        self.timers.cancel()
        if self.task is not None:
            self.task.cancel()
        if self.carries and self.session.close_code == ABNORMAL:
            self.upstream.cut()
        else:
            self.upstream.say_goodbye(upstream_code(ABNORMAL), "the client is gone")
        self.context.sessions.leave(self)
        summary = self.session.summary(
            self.context.clock.monotonic(),
            client=(self.client.messages, self.client.bytes),
            upstream=(self.upstream.messages, self.upstream.bytes),
        )
        if summary is not None and not self.carries:
            self.tell(self.context.observer.closed, summary)
            self.upstream.heard = self.voice.end(summary)
        if self.ring is not None:
            self.ring.clear()
            self.ring = None
        self.client.release()
        self._release_when_both_are_gone()

    def _release_when_both_are_gone(self) -> None:
        if self.session.state is State.CLOSED and self._upstream_over:
            self.task = None
            self.connection = NoConnection()
            self.upstream.release()  # which one that was never dialled has not done
            # Each side knows its relay and the relay its sides: without this only the garbage collector parts them.
            del self.client.relay, self.upstream.relay

    def tell(self, hear: Callable[[*Ts], None], *what: *Ts) -> None:
        """Call an observer in the trace of this session. A context can be entered once at a time, its copy any time."""
        self._scope.copy().run(hear, *what)
