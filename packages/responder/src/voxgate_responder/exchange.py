"""One HTTP request on its way through the middleware: bounds on what comes in, the envelope on what goes out."""

import asyncio
import logging
from typing import NoReturn

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxgate_core import Trace, VoxgateError
from voxgate_responder.context import Rendering
from voxgate_responder.headers import SECURITY_NAMES, OwnHeaders, is_private, missing_headers, security_headers
from voxgate_responder.intake import announces_body, check_request
from voxgate_responder.problem import code_of_status
from voxgate_responder.refusal import TRACE_NAMES, HttpRefusal, refusal, trace_headers

__all__ = ["Exchange"]

logger = logging.getLogger("voxgate.responder")

_FIRST_ERROR = 400
_BODY_HEADERS = frozenset({b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"})
_DISCONNECT: Message = {"type": "http.disconnect"}


class Exchange:
    """Serves one request. ``body_limit`` is bytes, ``body_timeout`` seconds spent waiting for the caller's body."""

    __slots__ = (
        "_body_complete",
        "_body_limit",
        "_disconnected",
        "_finished",
        "_head_only",
        "_patience",
        "_receive",
        "_received",
        "_rendering",
        "_scope",
        "_send",
        "_started",
        "_trace",
        "_tripped",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        trace: Trace,
        rendering: Rendering,
        body_limit: int,
        body_timeout: float,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._trace = trace
        self._rendering = rendering
        self._body_limit = body_limit
        self._patience = body_timeout
        self._head_only = scope["method"] == "HEAD"
        self._received = 0
        self._body_complete = not announces_body(scope["headers"])
        self._tripped: VoxgateError | None = None
        self._disconnected = False
        self._started = False
        self._finished = False

    async def run(self, app: ASGIApp) -> None:
        """Serve the request with ``app``. Whatever happens in there, the caller gets an answer in our shape."""
        # HEAD is answered as GET would be, without the body (RFC 9110 section 9.3.2).
        scope = {**self._scope, "method": "GET"} if self._head_only else self._scope
        try:
            try:
                query = scope.get("query_string", b"")
                check_request(scope["path"], scope.get("raw_path"), query, scope["headers"], self._body_limit)
                await app(scope, self.receive, self.send)
            except VoxgateError as error:
                await self._refuse(error)
        except ClientDisconnect:
            self._disconnected = True
        except asyncio.CancelledError:
            # The server is stopping, and has no more time for this request: the caller may come again.
            if not self._started and not self._disconnected:
                await self._answer(self._rendered(VoxgateError("unavailable", "the gateway is going down")))
            raise
        except Exception as error:
            self._report("unhandled error in %s %s", error)
            await self._fail()
        else:
            if not self._started and not self._disconnected:
                self._report("the application gave no answer to %s %s")
                await self._fail()

    async def receive(self) -> Message:
        """The application's ``receive``. Raises ``body_too_large`` or ``request_timeout`` past the bounds."""
        if self._tripped is not None:
            raise self._tripped
        if self._finished:
            # The answer to a HEAD ends before its body does; a streaming application stops when told so.
            return _DISCONNECT
        message = await (self._receive() if self._body_complete else self._receive_in_time())
        if message["type"] == "http.disconnect":
            self._disconnected = True
            return message
        self._received += len(message.get("body", b""))
        if self._received > self._body_limit:
            self._trip(VoxgateError("body_too_large", details={"limit": self._body_limit}))
        if not message.get("more_body", False):
            self._body_complete = True
        return message

    async def send(self, message: Message) -> None:
        """The application's ``send``, with our headers on a good answer and our answer in place of a foreign error."""
        if self._finished:
            return
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            if type(headers) is OwnHeaders and self._tripped is None and message["status"] < _FIRST_ERROR:
                self._started = True
                ours = security_headers(private=is_private(self._scope["path"]), https=self._rendering.https)
                await self._send({**message, "headers": [*headers, *ours]})
            else:
                await self._start(message)
        elif message["type"] == "http.response.body" and self._head_only:
            self._finished = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                self._finished = True
            await self._send(message)

    async def _receive_in_time(self) -> Message:
        """Wait for the caller's next piece of body; only time spent waiting here counts against the caller."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._patience) as limit:
                message = await self._receive()
        except TimeoutError:
            if not limit.expired():
                raise
            # RFC 9110 section 15.5.9: a server that gives up on a request closes the connection.
            self._trip(VoxgateError("request_timeout", headers={"connection": "close"}))
        self._patience -= loop.time() - began
        return message

    def _trip(self, error: VoxgateError) -> NoReturn:
        # Kept, since an application may turn what receive raises into an error of its own.
        self._tripped = error
        raise error

    async def _start(self, message: Message) -> None:
        if self._tripped is not None:
            await self._refuse(self._tripped)
            return
        headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
        present = {name.lower(): value for name, value in reversed(headers)}  # of two with one name, the first counts
        content_type = present.get(b"content-type", b"")
        status = message["status"]
        if status >= _FIRST_ERROR and (not content_type or content_type.lower().startswith(b"text/plain")):
            kept = [header for header in headers if header[0].lower() not in _BODY_HEADERS]
            await self._answer(self._rendered(VoxgateError(code_of_status(status)), status), kept)
            return
        self._started = True
        private = status >= _FIRST_ERROR or is_private(self._scope["path"])
        ours = security_headers(private=private, content_type=content_type, https=self._rendering.https)
        if not present.keys() >= TRACE_NAMES:
            headers += [header for header in trace_headers(self._trace) if header[0] not in present]
        headers += ours if SECURITY_NAMES.isdisjoint(present) else missing_headers(headers, ours)
        await self._send({**message, "headers": headers})

    async def _refuse(self, error: VoxgateError) -> None:
        if self._started:
            if not self._finished:
                # Nothing can be added to half an answer: the server closes the connection when we return.
                self._report("refused %s %s after the answer had begun", error)
            return
        await self._answer(self._rendered(error))

    async def _fail(self) -> None:
        if not self._started:
            await self._answer(self._rendered(VoxgateError("internal_error")))

    def _rendered(self, error: VoxgateError, status: int | None = None) -> HttpRefusal:
        rendering = self._rendering
        return refusal(
            error,
            self._trace,
            openai=rendering.openai,
            instance=rendering.instance,
            status=status,
            https=rendering.https,
        )

    async def _answer(self, refused: HttpRefusal, kept: list[tuple[bytes, bytes]] | None = None) -> None:
        headers = [*(kept or ())]
        headers += missing_headers(headers, refused.headers)
        self._started = self._finished = True
        await self._send({"type": "http.response.start", "status": refused.status, "headers": headers})
        body = b"" if self._head_only else refused.body
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _report(self, text: str, error: BaseException | None = None) -> None:
        logger.error(text, self._scope["method"], self._rendering.instance, exc_info=error)
