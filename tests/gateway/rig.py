"""A gateway served in this process on uvloop's own terms, and the settings tests start it with."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voxgate_gateway import Gateway, bind, load, serve
from voxgate_security import new_key

ORIGIN = "https://app.example.com"
SECRET = "k1:hQ7vN2xk-Zp4mWc9T_ry3Fb8Js5LdGe6Ua"
OPERATOR_KEY, STORED_OPERATOR_KEY = new_key("tests", "operator")

PREVIEW: Mapping[str, str] = {
    "VOXGATE_ENV": "preview",
    "ALLOWED_ORIGINS": ORIGIN,
    "JWT_SECRET": SECRET,
    "VOXGATE_API_KEYS": STORED_OPERATOR_KEY,
}


@dataclass
class Served:
    """A gateway that answers at ``url``."""

    url: str
    gateway: Gateway
    http: httpx.AsyncClient

    @property
    def ws_url(self) -> str:
        return self.url.replace("http://", "ws://")

    async def token(self, **body: object) -> str:
        """A fresh session token."""
        answer = await self.http.post(
            "/api/realtime/token", json=body, headers={"Authorization": f"Bearer {OPERATOR_KEY}"}
        )
        token: str = json.loads(answer.content)["data"]["token"]
        return token


@contextlib.asynccontextmanager
async def served(environ: Mapping[str, str] = PREVIEW) -> AsyncIterator[Served]:
    """Serve a gateway with these settings until the block ends, then stop it as SIGTERM would."""
    listener = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(serve(load(environ), listener, ready=ready.set_result, stop=stop))
    task.add_done_callback(lambda _: ready.done() or ready.cancel())
    try:
        gateway = await ready
    except asyncio.CancelledError:
        await task  # it ended before it was ready, and says why
        raise
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield Served(url, gateway, http)
    finally:
        stop.set()
        await task


async def close_code_of(client: ClientConnection) -> int | None:
    """Read until the connection ends; its close code."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in client:
            pass
    return client.close_code
