"""Opens the WebSocket to a model server."""

import asyncio
import logging
from collections.abc import Sequence

from picows import WSError, WSHandshakeError, WSListener, WSTransport, ws_connect

from voxgate_core import VoxgateError
from voxgate_realtime.context import RelayContext

__all__ = ["dial"]

logger = logging.getLogger("voxgate.realtime")
_frames_logger = logging.getLogger("voxgate.realtime.upstream")
_frames_logger.setLevel(logging.ERROR)  # below, picows reports every connection


async def dial(
    context: RelayContext, url: str, listener: WSListener, headers: Sequence[tuple[str, str]]
) -> WSTransport:
    """Connect ``listener`` to ``url`` with these headers, within the connect timeout.

    No redirect is followed: the API key goes to the configured server and nowhere else. TLS is verified.
    Raises :class:`VoxgateError`: ``upstream_failed`` when the server answered and refused, ``upstream_unreachable``
    when there was no answer.
    """
    limits = context.limits
    try:
        async with asyncio.timeout(limits.connect_timeout):
            transport, _ = await ws_connect(
                lambda: listener,
                url,
                ssl_context=context.ssl_context,
                websocket_handshake_timeout=limits.connect_timeout,
                logger_name=_frames_logger,
                enable_auto_pong=False,
                max_frame_size=limits.max_message,
                extra_headers=headers,
                max_redirects=0,
                use_aiofastnet=False,
            )
    except WSHandshakeError as error:
        status = None if error.response is None else int(error.response.status)
        logger.warning(
            "the upstream refused the handshake", extra={"upstream": context.upstream.name, "status": status}
        )
        raise VoxgateError("upstream_failed", "the model server refused the connection") from error
    except (OSError, TimeoutError, WSError) as error:
        extra = {"upstream": context.upstream.name, "reason": type(error).__name__}
        logger.warning("the upstream cannot be reached", extra=extra)
        raise VoxgateError("upstream_unreachable") from error
    return transport
