"""Notes what became of each request for a token, wherever it was decided: at the origin, the caller, the quota, the body.

Pure ASGI. Stands inside the layer that renders refusals and outside the one that judges origins.
"""

from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxgate_core import VoxgateError
from voxgate_responder import REFUSAL_KEY

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

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == ISSUED:
                    self._decided(None)
                elif REFUSAL_KEY in scope:  # rendered inside already
                    self._decided(scope[REFUSAL_KEY])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except VoxgateError as error:
            self._decided(error)
            raise
