"""WebSocket handshakes that reach the ASGI application: refused ones are answered in the envelope too."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxgate_core import Trace, VoxgateError
from voxgate_responder.context import Rendering
from voxgate_responder.headers import missing_headers, security_headers
from voxgate_responder.refusal import refusal, trace_headers

__all__ = ["Handshake"]

logger = logging.getLogger("voxgate.responder")

_NORMAL_CLOSURE = 1000


class Handshake:
    """Serves one WebSocket scope, from its handshake to its end."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, trace: Trace, rendering: Rendering) -> None:
        self._receive = receive
        self._send = send
        self._trace = trace
        self._rendering = rendering
        self._can_answer = "websocket.http.response" in scope.get("extensions", {})
        self._accepted = False
        self._ended = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Serve the socket with ``app``; what ``app`` raises becomes a refusal or a close code."""
        try:
            await app(scope, self._receive, self.send)
        except VoxgateError as error:
            await self._end(error)
        except Exception as error:
            logger.error("unhandled error in WebSocket %s", self._rendering.instance, exc_info=error)
            await self._end(VoxgateError("internal_error"))

    async def send(self, message: Message) -> None:
        """The application's ``send``. A close before the accept, which is HTTP 403, becomes a problem."""
        kind = message["type"]
        if kind == "websocket.close" and not self._accepted:
            # Starlette closes 1000 where no route matches.
            unmatched = message.get("code", _NORMAL_CLOSURE) == _NORMAL_CLOSURE
            await self._end(VoxgateError("not_found" if unmatched else "policy_refused"))
            return
        if kind == "websocket.http.response.start":
            self._ended = True
            headers = list(message.get("headers", ()))
            ours = (*trace_headers(self._trace), *security_headers(private=True, https=self._rendering.https))
            message = {**message, "headers": [*headers, *missing_headers(headers, ours)]}
        elif kind == "websocket.accept":
            self._accepted = True
        elif kind == "websocket.close":
            self._ended = True
        await self._send(message)

    async def _end(self, error: VoxgateError) -> None:
        if self._ended:
            return
        self._ended = True
        if self._accepted:
            await self._send({"type": "websocket.close", "code": error.kind.close_code, "reason": error.kind.title})
        elif self._can_answer:
            refused = refusal(
                error,
                self._trace,
                openai=self._rendering.openai,
                instance=self._rendering.instance,
                https=self._rendering.https,
            )
            headers = list(refused.headers)
            await self._send({"type": "websocket.http.response.start", "status": refused.status, "headers": headers})
            await self._send({"type": "websocket.http.response.body", "body": refused.body})
        else:
            await self._send({"type": "websocket.close", "code": error.kind.close_code})
