"""Hears how an HTTP request is answered, wherever that is decided: rendered inside, or raised to the layer outside.

For layers that stand inside the one that renders refusals.
"""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxgate_core import VoxgateError
from voxgate_responder import REFUSAL_KEY

__all__ = ["hear_out"]


async def hear_out(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, hear: Callable[[int, VoxgateError | None], None]
) -> None:
    """Let ``app`` answer; ``hear`` is told the status, and the refusal where it is one that has a name. Raises as ``app``."""

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            hear(message["status"], scope.get(REFUSAL_KEY))
        await send(message)

    try:
        await app(scope, receive, noting)
    except VoxgateError as error:
        hear(error.kind.status, error)
        raise
