"""The outermost ASGI layer: trace id, security headers, bounds on the body, the envelope on every error."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from voxgate_core import current_trace, trace_from_headers
from voxgate_responder.context import OPENAI_PREFIXES, Rendering, current_rendering
from voxgate_responder.exchange import Exchange
from voxgate_responder.sockets import Handshake

__all__ = ["BODY_LIMIT", "BODY_TIMEOUT", "EnvelopeMiddleware"]

BODY_LIMIT = 1024 * 1024
"""Bytes of one request body."""

BODY_TIMEOUT = 5.0
"""Seconds that a request may keep the application waiting for its body, all waits together."""


class EnvelopeMiddleware:
    """Pure ASGI. Goes around the whole application; :func:`voxgate_responder.install` prepares a FastAPI one.

    - continues the caller's trace, or starts one, in ``current_trace`` for the time of the request;
    - adds ``x-trace-id``, ``traceparent`` and the security headers, leaving those the application set;
    - answers HEAD as GET without a body; an application never sees HEAD;
    - refuses bodies over ``body_limit`` bytes (413) and ones that keep it waiting ``body_timeout`` seconds (408);
    - turns what the application raises, and error answers in ``text/plain`` or without a type, into problems,
      on ``openai_prefixes`` in OpenAI's shape. An unexpected exception is logged once, with its traceback, by
      the logger ``voxgate.responder``.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_limit: int = BODY_LIMIT,
        body_timeout: float = BODY_TIMEOUT,
        openai_prefixes: Sequence[str] = OPENAI_PREFIXES,
    ) -> None:
        self._app = app
        self._body_limit = body_limit
        self._body_timeout = body_timeout
        self._openai_prefixes = tuple(openai_prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        parents = [value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"]
        trace = trace_from_headers(parents)
        path = scope["path"]
        rendering = Rendering(path, path.startswith(self._openai_prefixes), scope.get("scheme") in ("https", "wss"))
        trace_token = current_trace.set(trace)
        rendering_token = current_rendering.set(rendering)
        try:
            if scope["type"] == "websocket":
                handshake = Handshake(scope, receive, send, trace=trace, rendering=rendering)
                await handshake.run(self._app, scope)
            else:
                exchange = Exchange(
                    scope,
                    receive,
                    send,
                    trace=trace,
                    rendering=rendering,
                    body_limit=self._body_limit,
                    body_timeout=self._body_timeout,
                )
                await exchange.run(self._app)
        finally:
            current_rendering.reset(rendering_token)
            current_trace.reset(trace_token)
