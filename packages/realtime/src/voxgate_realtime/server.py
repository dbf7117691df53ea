"""Realtime paths in uvicorn's ``ws=`` slot: one port serves FastAPI and the relay.

uvicorn parses an HTTP upgrade, then makes one object of the class in that slot, calls its ``connection_made``, feeds
it the request head again, and hands it the transport. For a realtime path that object judges the upgrade and becomes
a relay; for any other path it hands over to uvicorn's own WebSocket protocol.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol
from uvicorn.server import ServerState

from voxgate_core import (
    Clock,
    EventSink,
    Grant,
    NullObserver,
    NullSink,
    OriginGate,
    SessionObserver,
    SystemClock,
    TokenVerifier,
    Trace,
    VoxgateError,
    trace_from_headers,
)
from voxgate_realtime.carrying import Finder, nowhere
from voxgate_realtime.context import RelayContext, unheard
from voxgate_realtime.frame_protocol import FrameProtocol
from voxgate_realtime.handshake import (
    PATHS,
    Credential,
    Dialect,
    Resume,
    Upgrade,
    check_upgrade,
    find_credential,
    parse_upgrade,
)
from voxgate_realtime.limits import RelayLimits
from voxgate_realtime.relay import Relay
from voxgate_realtime.replay import ReplayBudget
from voxgate_realtime.sessions import Sessions
from voxgate_realtime.upstreams import Upstream
from voxgate_realtime.voice_events import DEFAULT_SOURCE

__all__ = ["RealtimeServer", "RefusalRenderer"]


class RefusalRenderer(Protocol):
    """Renders an HTTP refusal as a whole response, head and body, ready to be written."""

    def __call__(self, error: VoxgateError, trace: Trace, path: str) -> bytes: ...


class RealtimeServer:
    """The relay as a server: give :meth:`protocol_class` to uvicorn's ``ws=``.

    ``enabled`` off closes every session 1013. ``single_use`` names the dialects on which a token opens one session.
    ``others`` off answers 404 to an upgrade on any other path: for an app that has no WebSocket routes of its own.
    ``events`` takes what :mod:`voxgate_realtime.voice_events` lists, with ``event_source`` as its CloudEvents source.
    ``timed`` is told what the relay added to a message, in seconds, for one message in so many; it may not wait.
    ``elsewhere`` finds the sessions of other processes, for clients that come back to this one.
    """

    def __init__(
        self,
        *,
        origins: OriginGate,
        verifier: TokenVerifier,
        upstream: Upstream,
        refusal: RefusalRenderer,
        limits: RelayLimits | None = None,
        observer: SessionObserver | None = None,
        clock: Clock | None = None,
        ssl_context: ssl.SSLContext | None = None,
        single_use: frozenset[Dialect] = frozenset({Dialect.NATIVE}),
        enabled: bool = True,
        others: bool = True,
        events: EventSink | None = None,
        event_source: str = DEFAULT_SOURCE,
        timed: Callable[[float], None] = unheard,
        elsewhere: Finder = nowhere,
    ) -> None:
        limits = limits or RelayLimits()
        self.sessions: Sessions[Relay] = Sessions(limits)
        self.origins = origins
        self.refusal = refusal
        self.enabled = enabled
        self.others = others
        self.context = RelayContext(
            limits=limits,
            replay_budget=ReplayBudget(limits),
            sessions=self.sessions,
            verifier=verifier,
            upstream=upstream,
            observer=observer or NullObserver(),
            clock=clock or SystemClock(),
            ssl_context=ssl_context or ssl.create_default_context(),
            single_use=single_use,
            events=NullSink() if events is None else events,
            event_source=event_source,
            timed=timed,
            elsewhere=elsewhere,
        )

    def protocol_class(self) -> type[asyncio.Protocol]:
        """The class for uvicorn's ``ws=`` slot, bound to this server."""
        return type("VoxgateRealtime", (UpgradeProtocol,), {"server": self})

    def traffic(self) -> dict[str, tuple[int, int]]:
        """Messages and bytes of the sessions that are live now, by the side that sent them: ``client``, ``upstream``.

        A session that is carried for another process is counted there.
        """
        relays = [relay for relay in self.sessions if not relay.carries]
        return {
            "client": (sum(r.client.messages for r in relays), sum(r.client.bytes for r in relays)),
            "upstream": (sum(r.upstream.messages for r in relays), sum(r.upstream.bytes for r in relays)),
        }

    def drain(self) -> None:
        """End the sessions whose client is away, and let none wait from now on: this process is going down."""
        self.sessions.drain()

    def revoke(self, revoked: Callable[[Grant], bool]) -> int:
        """Close the live sessions whose grant matches; how many."""
        return self.sessions.revoke(revoked)


class UpgradeProtocol(asyncio.Protocol):
    """One upgrade request, until it is a relay's, another protocol's, or refused."""

    server: RealtimeServer

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._relay: Relay | None = None
        self._frames: FrameProtocol | None = None
        self._other: Any = None
        self._unproven_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not derived from it

    def data_received(self, data: bytes) -> None:
        if self._other is not None:
            self._other.data_received(data)
        elif self._frames is not None and self._relay is not None:
            self._receive_unproven(self._frames, self._relay, data)
        else:
            self._decide(data)

    def eof_received(self) -> bool | None:
        return None if self._other is None else bool(self._other.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        target = self._target()
        if target is not None:
            target.connection_lost(exc)

    def pause_writing(self) -> None:
        target = self._target()
        if target is not None:
            target.pause_writing()

    def resume_writing(self) -> None:
        target = self._target()
        if target is not None:
            target.resume_writing()

    def shutdown(self) -> None:
        """uvicorn is stopping gracefully: ask the client to go elsewhere."""
        if self._relay is not None:
            self._relay.refuse(VoxgateError("draining"))

    def _target(self) -> Any:
        if self._other is not None:
            return self._other
        return None if self._frames is None else self._frames.protocol

    def _decide(self, head: bytes) -> None:
        trace = trace_from_headers([])
        path = ""
        try:
            upgrade = parse_upgrade(head)
            path = upgrade.path
            dialect = PATHS.get(path)
            if dialect is None and self.server.others:
                self._hand_over(head)
                return
            trace = trace_from_headers([value.decode("latin-1") for value in upgrade.values(b"traceparent")])
            if dialect is None:
                raise VoxgateError("not_found")
            key = check_upgrade(upgrade)
            origin = self.server.origins.admit(upgrade.origins)
            model, resume = upgrade.read_query()
        except VoxgateError as error:
            assert self._transport is not None
            self._transport.write(self.server.refusal(error, trace, path))
            self._transport.close()
            return
        self._accept(upgrade, dialect, origin, model, resume, key, trace)

    def _accept(
        self,
        upgrade: Upgrade,
        dialect: Dialect,
        origin: str | None,
        model: str | None,
        resume: Resume | None,
        key: bytes,
        trace: Trace,
    ) -> None:
        assert self._transport is not None
        credential: Credential | VoxgateError | None
        try:
            credential = find_credential(upgrade) if self.server.enabled else VoxgateError("proxy_disabled")
        except VoxgateError as error:
            credential = error
        self._relay = Relay(
            self.server.context,
            connection=self,
            dialect=dialect,
            origin=origin,
            credential=credential,
            model=model,
            resume=resume,
            trace=trace,
        )
        limits = self.server.context.limits
        headers = {"X-Trace-Id": trace.trace_id}
        if upgrade.subprotocol is not None:
            headers["Sec-WebSocket-Protocol"] = upgrade.subprotocol
        frames = FrameProtocol(self._relay.client, headers=headers, max_frame=limits.max_message)
        self._frames = frames
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn calls only shutdown() on it
        frames.start(self._transport, key)

    def _receive_unproven(self, frames: FrameProtocol, relay: Relay, data: bytes) -> None:
        """Bytes of a client that has shown no valid credential yet: few are enough for one."""
        self._unproven_bytes += len(data)
        limit = self.server.context.limits.auth_bytes
        if self._unproven_bytes > limit:
            relay.refuse(VoxgateError("message_too_large", f"at most {limit} bytes may precede authentication"))
        else:
            frames.feed(data)

    def proven(self) -> None:
        """The client is proven: its bytes go straight to the frame parser from now on."""
        if self._transport is not None and self._frames is not None:
            self._transport.set_protocol(self._frames.protocol)

    def moved_to(self, relay: Relay) -> None:
        """The client came back to a session it had, or this connection was left behind by one that did."""
        self._relay = relay

    def gone(self) -> None:
        """The relay's connection is over."""
        self._server_state.connections.discard(self)
        self._relay = self._frames = self._transport = None

    def _hand_over(self, head: bytes) -> None:
        """Not a realtime path: whatever uvicorn would have done, it does."""
        assert self._transport is not None
        if AutoWebSocketsProtocol is None:
            raise VoxgateError("not_found")
        self._other = AutoWebSocketsProtocol(
            config=self._config, server_state=self._server_state, app_state=self._app_state, _loop=self._loop
        )
        self._other.connection_made(self._transport)
        self._other.data_received(head)
        # uvicorn sets this object as the transport's protocol when data_received returns; correct that afterwards.
        self._loop.call_soon(self._transport.set_protocol, self._other)
        self._loop.call_later(self.server.context.limits.auth_timeout, _abort_unless_open, self._other, self._transport)


def _abort_unless_open(other: Any, transport: asyncio.Transport) -> None:
    """uvicorn's protocol waits for the rest of a head that its own parser found too long; there is none."""
    if not getattr(other, "handshake_complete", True):
        transport.abort()
