"""Notes what became of each request for a token, wherever it was decided: at the origin, the caller, the quota, the body.

Pure ASGI. Stands inside the layer that renders refusals and outside the one that judges origins.
"""

from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from voxgate_core import VoxgateError
from voxgate_gateway.hearing import hear_out

__all__ = ["TOKEN_PATHS", "TokenDecisions"]

TOKEN_PATHS: Final = frozenset({"/api/realtime/token", "/v1/realtime/client_secrets"})

ISSUED: Final = 200


class TokenDecisions:
    """Tells ``decided`` of each POST to a token route: ``None`` for a token that was issued, else the refusal."""

    def __init__(self, app: ASGIApp, decided: Callable[[VoxgateError | None], None]) -> None:
        self._app = app
        self._decided = decided

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in TOKEN_PATHS or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return

        await hear_out(self._app, scope, receive, send, self._hear)

    def _hear(self, status: int, refusal: VoxgateError | None) -> None:
        if status == ISSUED or refusal is not None:
            self._decided(None if status == ISSUED else refusal)
