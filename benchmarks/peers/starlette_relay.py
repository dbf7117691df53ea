"""The relay most teams write: a Starlette WebSocket on one side, a websockets client on the other, two tasks.

Written with care, so that it is a fair peer: no compression, no size limit in the way, no parsing, no logging. Run by
uvicorn on uvloop with its default WebSocket protocol. ``UPSTREAM`` in the environment names where to relay to.
"""

import asyncio
import os

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

UPSTREAM = os.environ["UPSTREAM"]


async def relay(client: WebSocket) -> None:
    """Pass text both ways until either side ends."""
    await client.accept()
    async with connect(UPSTREAM, compression=None, max_size=None) as upstream:

        async def from_client() -> None:
            try:
                while True:
                    await upstream.send(await client.receive_text())
            except WebSocketDisconnect:
                await upstream.close()

        async def from_upstream() -> None:
            try:
                while True:
                    await client.send_text(await upstream.recv(decode=True))
            except ConnectionClosed:
                return

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(from_client())
            tasks.create_task(from_upstream())


app = Starlette(routes=[WebSocketRoute("/v1/realtime", relay)])
