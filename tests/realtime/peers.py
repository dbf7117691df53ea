"""Real loopback peers for the relay: an upstream that records, a gateway around one relay, and hand-written ports."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from voxgate_core import Clock, EventSink, Grant, Leash, ResumeOutcome, SessionClosed, Trace, VoxgateError
from voxgate_realtime import Finder, RealtimeServer, RelayLimits, Upstream, nowhere
from voxgate_realtime.relay import Relay

ORIGIN = "https://app.example.com"
TOKEN = "good-token"
LIMITS = RelayLimits()
MIB = 1024 * 1024
SPEECH = json.dumps({"type": "input_audio_buffer.append", "audio": "A" * 4096})

Handler = Callable[[ServerConnection], Awaitable[None]]


class OneOrigin:
    """An origin gate with one origin on its list."""

    def admit(self, origins: Sequence[bytes]) -> str | None:
        if not origins:
            return None
        if list(origins) != [ORIGIN.encode()]:
            raise VoxgateError("origin_refused")
        return ORIGIN


class OneToken:
    """A verifier that knows one token, and can be held back until a test lets it go on."""

    def __init__(self, leash: Leash | None = None) -> None:
        self.leash = leash or Leash()
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.seen: list[tuple[str | None, bool]] = []

    async def verify(self, token: str, *, origin: str | None, single_use: bool) -> Grant:
        self.seen.append((origin, single_use))
        self.asked.set()
        await self.gate.wait()
        if token == "explodes":
            raise RuntimeError("a verifier must not do this")
        if token != TOKEN:
            raise VoxgateError("credential_invalid")
        return Grant("ada", "sess-1", "jti-1", origin, frozenset(), 0, 1_900_000_000, self.leash)


@dataclass
class Recorder:
    """An observer that keeps what it is told."""

    opened_grants: list[Grant] = field(default_factory=list)
    detached_grants: list[Grant] = field(default_factory=list)
    resumes: list[tuple[str, str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    summaries: list[SessionClosed] = field(default_factory=list)
    any_closed: asyncio.Event = field(default_factory=asyncio.Event)
    any_detached: asyncio.Event = field(default_factory=asyncio.Event)

    def opened(self, grant: Grant) -> None:
        self.opened_grants.append(grant)

    def detached(self, grant: Grant) -> None:
        self.detached_grants.append(grant)
        self.any_detached.set()

    def resume_asked(self, grant: Grant, outcome: ResumeOutcome) -> None:
        self.resumes.append((grant.session_id, outcome.value))

    def refused(self, error: VoxgateError) -> None:
        self.refusals.append(error.code)

    def closed(self, summary: SessionClosed) -> None:
        self.summaries.append(summary)
        self.any_closed.set()


def plain_refusal(error: VoxgateError, trace: Trace, path: str) -> bytes:
    """A whole HTTP answer that names the error and the trace."""
    body = f"{error.code} {trace.trace_id} {path}".encode()
    status = HTTPStatus(error.kind.status)
    extra = "".join(f"{name}: {value}\r\n" for name, value in error.headers.items())
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{extra}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


async def plain_app(scope: dict[str, object], receive: Callable[..., object], send: Callable[..., object]) -> None:
    """An ASGI app beside the relay: says hello over HTTP, and over a WebSocket path of its own."""
    if scope["type"] == "websocket":
        await receive()  # type: ignore[misc]
        await send({"type": "websocket.accept"})  # type: ignore[misc]
        await send({"type": "websocket.send", "text": f"hello from {scope['path']}"})  # type: ignore[misc]
        await send({"type": "websocket.close", "code": 1000})  # type: ignore[misc]
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[misc]
        await send({"type": "http.response.body", "body": b"hello"})  # type: ignore[misc]


@dataclass
class Gateway:
    """A relay on a port of its own."""

    port: int
    realtime: RealtimeServer
    server: uvicorn.Server
    observer: Recorder
    verifier: OneToken

    def client(self, path: str = "/realtime", *, token: str | None = TOKEN, **options: object) -> connect:
        """A client connection to be entered; ``max_size`` is unbounded unless said otherwise."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        settings: dict[str, object] = {
            "additional_headers": headers,
            "max_size": None,
            "compression": None,
            "close_timeout": 1,
            **options,
        }
        return connect(f"ws://127.0.0.1:{self.port}{path}", **settings)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def gateway(
    upstream: Upstream | str,
    *,
    limits: RelayLimits | None = None,
    verifier: OneToken | None = None,
    enabled: bool = True,
    others: bool = True,
    ssl_context: ssl.SSLContext | None = None,
    events: EventSink | None = None,
    clock: Clock | None = None,
    elsewhere: Finder = nowhere,
) -> AsyncIterator[Gateway]:
    """A uvicorn server with the relay in its ``ws=`` slot, on a loopback port of its own, until the block ends."""
    observer = Recorder()
    verifier = verifier or OneToken()
    realtime = RealtimeServer(
        origins=OneOrigin(),
        verifier=verifier,
        upstream=upstream if isinstance(upstream, Upstream) else Upstream("test", upstream),
        refusal=plain_refusal,
        limits=limits,
        observer=observer,
        enabled=enabled,
        others=others,
        ssl_context=ssl_context,
        events=events,
        clock=clock,
        elsewhere=elsewhere,
    )
    config = uvicorn.Config(
        plain_app,
        ws=realtime.protocol_class(),
        http="auto",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield Gateway(listener.getsockname()[1], realtime, server, observer, verifier)
    finally:
        realtime.drain()
        await server.shutdown(sockets=[listener])


@contextlib.asynccontextmanager
async def model_server(handler: Handler, **options: object) -> AsyncIterator[str]:
    """A WebSocket server that runs ``handler``; its URL."""
    settings: dict[str, object] = {"max_size": None, "compression": None, "close_timeout": 1, **options}
    async with serve(handler, "127.0.0.1", 0, **settings) as server:  # type: ignore[arg-type]
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"


async def echo(connection: ServerConnection) -> None:
    """Send everything back."""
    async for message in connection:
        await connection.send(message)


async def closed_with(connection: ClientConnection) -> tuple[int | None, str]:
    """Read until the connection ends; its close code and reason."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in connection:
            pass
    return connection.close_code, connection.close_reason or ""


def only_relay(gw: Gateway) -> Relay:
    [live] = gw.realtime.sessions
    assert isinstance(live, Relay)
    return live


async def refusal(connection: ClientConnection) -> tuple[str, int | None]:
    """The code of the error event that came last, and the close code after it."""
    code = ""
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            event = json.loads(message)
            if event["type"] == "error":
                code = event["error"]["code"]
    return code, connection.close_code


async def silent(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def send_all(client: ClientConnection, messages: list[str]) -> None:
    for message in messages:
        await client.send(message)


def drain(gw: Gateway) -> None:
    """End every session as a graceful stop does."""
    for live in gw.realtime.sessions:
        live.refuse(VoxgateError("draining"))
