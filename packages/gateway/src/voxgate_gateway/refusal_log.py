"""One log line for each caller that was turned away over HTTP, in the trace that its answer names.

The layer is pure ASGI. It stands inside the one that renders refusals and sets the trace, and outside the one that judges
origins. Upgrades to WebSocket that are refused never come there: the relay asks for the line itself.
Nothing of the request but its method and path is written down: no header, no query, no body.
"""

import logging
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from voxgate_core import Clock, Trace, VoxgateError, current_trace
from voxgate_gateway.hearing import hear_out

__all__ = ["LINES_A_SECOND", "RefusalLines", "RefusalLog"]

LINES_A_SECOND: Final = 20
"""Past so many, refusals of the same second are only counted: who floods the gateway must not fill its disk."""

SHOWN_PATH: Final = 128
"""Characters of a path that are written down."""

LOGGED: Final = frozenset({401, 403, 429, 503})
"""What an operator is asked about. A request that can't be read, or asks for nothing that is there, is its sender's."""

logger = logging.getLogger("voxgate.http")


class RefusalLines:
    """Writes them, and no more of them than :data:`LINES_A_SECOND`, whoever asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = 0
        self._lines = 0
        self._unwritten = 0

    def note(self, error: VoxgateError, method: str, path: str) -> None:
        """Write the line in the trace that is current, if an operator is asked about such a refusal."""
        if error.kind.status not in LOGGED:
            return
        second = int(self._clock.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= LINES_A_SECOND:
            self._unwritten += 1
            return
        self._lines += 1
        extra: dict[str, object] = {"code": error.code, "status": error.kind.status, "method": method}
        extra["path"] = path[:SHOWN_PATH]
        if self._unwritten:
            extra["unwritten"], self._unwritten = self._unwritten, 0
        logger.info("request refused", extra=extra)

    def note_upgrade(self, error: VoxgateError, trace: Trace, path: str) -> None:
        """The same for an upgrade, which is judged before any trace is current."""
        token = current_trace.set(trace)
        try:
            self.note(error, "GET", path)
        finally:
            current_trace.reset(token)


class RefusalLog:
    """Around ``app``."""

    def __init__(self, app: ASGIApp, lines: RefusalLines) -> None:
        self._app = app
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        def hear(_: int, refusal: VoxgateError | None) -> None:
            if refusal is not None:
                self._lines.note(refusal, scope["method"], scope["path"])

        await hear_out(self._app, scope, receive, send, hear)
