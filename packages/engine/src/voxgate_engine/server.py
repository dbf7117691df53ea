"""The shell around :class:`Conversation`: a `websockets` server, one task and one loop a session."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from voxgate_engine.admission import Refusal, admit, choose_subprotocol, model_of, speaks_beta
from voxgate_engine.conversation import Conversation
from voxgate_engine.events import Event
from voxgate_engine.limits import MAX_FRAME_BYTES
from voxgate_engine.session import DEFAULT_MODEL
from voxgate_engine.settings import EngineSettings

__all__ = ["EngineServer"]

CLOSE_SECONDS = 2.0
"""How long a client may take to answer a close frame."""

_log = logging.getLogger(__name__)
# The library logs each handshake's headers at debug level, and those hold credentials.
_wire_log = logging.getLogger("voxgate_engine.wire")
_wire_log.setLevel(logging.WARNING)

_encode = msgspec.json.Encoder().encode


class EngineServer:
    """An engine that listens. Use it as an asynchronous context manager::

        async with EngineServer() as engine:
            ...  # connect to engine.url

    ``port`` 0 takes a free one. With ``sock`` given, that listening socket is used, and closed at the end,
    instead of ``host`` and ``port``. Entering raises ``OSError`` when the address can't be bound. Leaving closes
    every session with 1001.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: EngineSettings | None = None,
        *,
        sock: socket.socket | None = None,
    ) -> None:
        self.settings = settings or EngineSettings()
        self._host = host
        self._port = port
        self._sock = sock
        self._server: Server | None = None
        self._sessions = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        place: dict[str, Any] = {"host": self._host, "port": self._port} if self._sock is None else {"sock": self._sock}
        self._server = await serve(
            self._serve_session,
            process_request=self._judge_request,
            select_subprotocol=_select_subprotocol,
            compression=None,
            max_size=MAX_FRAME_BYTES,
            server_header=None,
            close_timeout=CLOSE_SECONDS,
            logger=_wire_log,
            **place,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The real port. Raises ``RuntimeError`` before the server listens."""
        return int(self._address()[1])

    @property
    def url(self) -> str:
        """Where a Realtime client connects. Raises ``RuntimeError`` before the server listens."""
        host, port = self._address()[:2]
        shown = f"[{host}]" if ":" in str(host) else host
        return f"ws://{shown}:{port}/v1/realtime"

    @property
    def sessions(self) -> int:
        """Sessions that are open now."""
        return self._sessions

    async def wait_idle(self) -> None:
        """Wait until no session is open."""
        await self._idle.wait()

    def _address(self) -> tuple[object, int]:
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the engine is not listening")
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    def _judge_request(self, connection: ServerConnection, request: Request) -> Response | None:
        verdict = admit(
            request.path,
            authorizations=request.headers.get_all("Authorization"),
            api_keys=request.headers.get_all("api-key"),
            required_key=self.settings.api_key,
            sessions=self._sessions,
            max_sessions=self.settings.max_sessions,
        )
        return None if verdict is None else _refuse(verdict)

    async def _serve_session(self, connection: ServerConnection) -> None:
        # Judged again: handshakes that ran side by side all saw the count before any of them was in it.
        if self._sessions >= self.settings.max_sessions:
            await connection.close(CloseCode.TRY_AGAIN_LATER, "too many sessions")
            return
        request = connection.request
        assert request is not None
        conversation = Conversation(self.settings, model=model_of(request.path) or DEFAULT_MODEL)
        self._sessions += 1
        self._idle.clear()
        _log.info("session opened, model %r", conversation.session.model)
        try:
            await _converse(connection, conversation, beta=_is_beta(request))
        except ConnectionClosed as closed:
            _log.info("session closed by the client: %s", closed.rcvd.code if closed.rcvd else "no close frame")
        finally:
            self._sessions -= 1
            if not self._sessions:
                self._idle.set()


async def _converse(connection: ServerConnection, conversation: Conversation, *, beta: bool) -> None:
    clock = asyncio.get_running_loop().time
    await _send(connection, conversation.refuse_beta() if beta else conversation.open(clock()))
    while conversation.closing is None:
        message = await _receive(connection, conversation.due)
        if isinstance(message, bytes):
            await _send(connection, conversation.refuse_binary())
        elif message is not None:
            await _send(connection, conversation.receive(message, clock()))
        await _send(connection, conversation.advance(clock()))
    _log.info("session closed: %s", conversation.closing.reason)
    await connection.close(conversation.closing.code, conversation.closing.reason)


async def _receive(connection: ServerConnection, due: float | None) -> str | bytes | None:
    """The next message, or ``None`` when ``due``, a time of the loop, comes first."""
    try:
        async with asyncio.timeout_at(due):
            return await connection.recv()
    except TimeoutError:
        return None


async def _send(connection: ServerConnection, events: list[Event]) -> None:
    """Each event as one text message; waits while the client reads too slowly, so nothing piles up here."""
    for event in events:
        await connection.send(_encode(event), text=True)


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    chosen = choose_subprotocol(offered)
    return None if chosen is None else Subprotocol(chosen)


def _is_beta(request: Request) -> bool:
    offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
    return speaks_beta([name.strip() for name in offered.split(",")], request.headers.get_all("OpenAI-Beta"))


def _refuse(refusal: Refusal) -> Response:
    status = HTTPStatus(refusal.status)
    body = _encode(refusal.body)
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(status.value, status.phrase, headers, body)
