"""uvicorn's HTTP protocol with deadlines and bounds that it lacks, refusing in the envelope.

Pass the class to uvicorn: ``uvicorn.Config(app, http=http_protocol())``. What it relies on inside uvicorn is
held by ``tests/responder/test_http.py``.
"""

import logging
from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from voxgate_core import Trace, VoxgateError, current_trace, new_trace, trace_from_headers
from voxgate_responder.connection import HEADER_OVERHEAD, ConnectionState, Wait
from voxgate_responder.context import OPENAI_PREFIXES, is_openai
from voxgate_responder.envelope import instance_of
from voxgate_responder.intake import announces_body
from voxgate_responder.refusal import refusal

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

__all__ = ["HEADER_TIMEOUT", "MAX_HEAD", "MAX_PIPELINED", "WRITE_TIMEOUT", "EnvelopeHttpProtocol", "http_protocol"]

HEADER_TIMEOUT = 5.0
"""Seconds for a whole request head, and for the rest of a body that nobody waits for any more."""

MAX_HEAD = 32 * 1024
"""Bytes of one request line, its fields and its trailers."""

MAX_PIPELINED = 32
"""Requests one connection may send ahead of their answers; each one waiting costs memory."""

WRITE_TIMEOUT = 30.0
"""Seconds a caller may leave answers unread before the connection is cut."""

LINGER_SECONDS = 1.0
"""How long a refused caller may go on sending before the connection is cut.

Closing at once, with bytes unread, makes the kernel send a reset, and the caller would lose the refusal.
"""

LINGER_BYTES = 8 * 1024 * 1024
"""Bytes that are read and dropped for the same reason."""

FULL_RETRY_AFTER = 1.0
"""Seconds that a caller is asked to wait when the server is at its limit of connections."""

logger = logging.getLogger("voxgate.responder")


class EnvelopeHttpProtocol(HttpToolsProtocol):
    """One HTTP/1.1 connection.

    - A request head that is not complete in ``header_timeout`` seconds gets 408. A connection that never sent a
      byte is closed without a word: an answer to no request could be taken for the answer to the next one.
    - A head over ``max_head`` bytes gets 431, bytes that are not HTTP get 400; what follows is not read as HTTP.
    - Past ``MAX_PIPELINED`` requests sent ahead of their answers, the next one gets 400. A caller that leaves answers
      unread for ``write_timeout`` seconds is cut.
    - Refusals wait for the answers to earlier pipelined requests.
    - A request without a ``Host``, which HTTP/1.0 alone may be, or with two gets 400 (RFC 9112 section 3.2).
    - An upgrade to anything but WebSocket is ignored (RFC 9110 section 7.8) and the connection closed after the
      answer; with a body it gets 400, since where such a body ends is not known.
    """

    header_timeout: float = HEADER_TIMEOUT
    max_head: int = MAX_HEAD
    write_timeout: float = WRITE_TIMEOUT
    openai_prefixes: tuple[str, ...] = OPENAI_PREFIXES

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._state = ConnectionState(self.max_head)
        self._waiting = Wait.ANSWER
        self._timer: TimerHandle | None = None
        self._cause: VoxgateError | None = None
        self._deferred: VoxgateError | None = None
        self._deaf = False
        self._handed_over = False
        self._dropped = 0
        self._unread: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        super().connection_made(transport)
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._read_again()
        self._unset_keepalive_if_required()
        self.pipeline.clear()  # nobody is left to answer
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_again()

    def data_received(self, data: bytes) -> None:
        if self._deaf or self._state.waits_for is Wait.BODY:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self.transport.close()
            if self._deaf or self.transport.is_closing():
                return
        self._state.read_begins()
        super().data_received(data)
        if self._handed_over:
            return
        self._state.read_ended(len(data))
        if self._state.head_too_large:
            self._refuse(VoxgateError("headers_too_large", details={"limit": self.max_head}))
        self._settle()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._state.head_began()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + HEADER_OVERHEAD)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        upgrade = self.parser.should_upgrade()
        if upgrade and self._should_upgrade():
            super().on_headers_complete()
            return
        if not _names_host(self.parser.get_http_version(), self.headers):
            self._stop(VoxgateError("bad_request", "A request names its host exactly once"))
        if upgrade and announces_body(self.headers):
            self._stop(VoxgateError("bad_request", "A request with a body cannot ask for an upgrade"))
        if self._state.outstanding >= MAX_PIPELINED:
            self._stop(VoxgateError("bad_request", "Too many requests were sent ahead of their answers"))
        super().on_headers_complete()
        self._state.head_ended()
        if upgrade:
            # The parser reads no further as HTTP, so nothing after this request can be served.
            self.cycle.keep_alive = False
            self._deaf = True
            self._disarm()

    def on_body(self, body: bytes) -> None:
        self._state.body_grew()
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._state.message_ended()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._state.answered()
        self._dropped = 0
        if self._deferred is not None and not self._state.outstanding and not self.transport.is_closing():
            self._deliver(self._deferred, linger=True)
        self._settle()

    def handle_websocket_upgrade(self) -> None:
        if self._state.outstanding:
            self._refuse(VoxgateError("bad_request", "A WebSocket handshake cannot follow an unanswered request"))
            return
        self._handed_over = True
        self._disarm()
        self._read_again()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this whenever the parser has stopped, which our own bounds make it do as well."""
        self._refuse(self._cause or VoxgateError("bad_request", "The request is not valid HTTP/1.1"))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        super()._start_asgi_task(cycle, _full if app is service_unavailable else app)

    def _count(self, size: int) -> None:
        self._state.head_grew(size)
        if self._state.head_too_large:
            self._stop(VoxgateError("headers_too_large", details={"limit": self.max_head}))

    def _stop(self, error: VoxgateError) -> NoReturn:
        """Stop the parser from inside one of its callbacks; it reports to :meth:`send_400_response`."""
        self._cause = error
        raise error

    def _settle(self) -> None:
        """Run the clock that fits what the connection waits for now, from the moment that this changed."""
        if self._deaf or self._handed_over or self.transport.is_closing():
            return
        waiting = self._state.waits_for
        if waiting is self._waiting:
            return
        self._waiting = waiting
        self._disarm()
        if waiting is Wait.IDLE:
            if self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
            return
        self._unset_keepalive_if_required()
        if waiting is Wait.HEAD:
            self._arm(self.header_timeout, self._head_overdue)
        elif waiting is Wait.BODY:
            self._arm(self.header_timeout, self.transport.close)

    def _head_overdue(self) -> None:
        if self._state.heard:
            self._deaf = True
            # No lingering: a caller that sends nothing has nothing unread to be reset over.
            self._deliver(VoxgateError("request_timeout", "The request head took too long to arrive"), linger=False)
        else:
            self.transport.close()

    def _refuse(self, error: VoxgateError) -> None:
        """Refuse what the connection is sending now; earlier requests keep their answers."""
        if self._deaf:
            return
        self._deaf = True
        self._disarm()
        if self._state.body_open and not self._abandon():
            self.transport.close()
        elif self._state.outstanding:
            self._deferred = error
        else:
            self._deliver(error, linger=True)

    def _abandon(self) -> bool:
        """Give up the request whose body is broken; whether it can still be answered with a refusal."""
        cycle = self.cycle
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        elif cycle.response_started:
            return False
        else:
            cycle.disconnected = True
            cycle.message_event.set()
        self._state.answered()
        return True

    def _deliver(self, error: VoxgateError, *, linger: bool) -> None:
        self._unset_keepalive_if_required()
        trace, path = self._about()
        refused = refusal(
            error,
            trace,
            openai=is_openai(path, self.openai_prefixes),
            instance=instance_of(path) if path.startswith("/") else None,
            https=self.scheme == "https",
        )
        token = current_trace.set(trace)
        logger.info("refused a connection: %s", error.code)
        current_trace.reset(token)
        self.transport.write(refused.to_bytes(self.server_state.default_headers))
        if not linger:
            self.transport.close()
            return
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._arm(LINGER_SECONDS, self.transport.close)

    def _about(self) -> tuple[Trace, str]:
        """Trace and path of the request being refused, as far as they have arrived."""
        if not (self._state.head_open or self._state.body_open):
            return new_trace(), ""
        parents = [value.decode("latin-1") for name, value in self.headers if name == b"traceparent"]
        return trace_from_headers(parents), unquote(self.url.partition(b"?")[0].decode("latin-1"))

    def _arm(self, seconds: float, callback: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, callback)

    def _read_again(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def http_protocol(
    *,
    header_timeout: float = HEADER_TIMEOUT,
    max_head: int = MAX_HEAD,
    write_timeout: float = WRITE_TIMEOUT,
    openai_prefixes: Sequence[str] = OPENAI_PREFIXES,
) -> type[EnvelopeHttpProtocol]:
    """A protocol class with these bounds: timeouts in seconds, ``max_head`` in bytes."""
    bounds = {
        "header_timeout": header_timeout,
        "max_head": max_head,
        "write_timeout": write_timeout,
        "openai_prefixes": tuple(openai_prefixes),
    }
    return type("EnvelopeHttpProtocol", (EnvelopeHttpProtocol,), bounds)


def _names_host(version: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """RFC 9112 section 3.2: HTTP/1.0 alone may leave ``Host`` out, and nobody may send two of them."""
    hosts = sum(name == b"host" for name, _ in headers)
    return hosts == 1 or (hosts == 0 and version == "1.0")


async def _full(scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
    """In place of uvicorn's own plain-text 503, past its ``limit_concurrency``."""
    assert scope["type"] == "http"
    parents = [value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"]
    refused = refusal(
        VoxgateError("capacity_exceeded", retry_after=FULL_RETRY_AFTER),
        trace_from_headers(parents),
        openai=is_openai(scope["path"]),
        instance=instance_of(scope["path"]),
        https=scope["scheme"] == "https",
    )
    headers = [*refused.headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": refused.body, "more_body": False})
