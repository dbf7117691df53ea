"""A gateway served in this process on uvloop's own terms, and the settings tests start it with."""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.helpers.envelope import assert_envelope
from voxgate_backplane import EmbeddedServer
from voxgate_core import Grant, SessionClosed
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
    "VOXGATE_FANOUT_FILE": os.devnull,  # whatever lies in the working directory
}

BEARER = {"Authorization": f"Bearer {OPERATOR_KEY}"}


def grant_of(session_id: str) -> Grant:
    """A grant that opened this session."""
    return Grant("ada", session_id, f"token-of-{session_id}", None, frozenset({"realtime"}), 0, 60)


def end_of(session_id: str) -> SessionClosed:
    """How this session ended."""
    return SessionClosed(session_id, "ada", 1000, "", 1.0, 1, 10, 1, 10)


@dataclass
class Served:
    """A gateway that answers at ``url``."""

    url: str
    gateway: Gateway
    http: httpx.AsyncClient
    data_dir: Path

    @property
    def ws_url(self) -> str:
        return self.url.replace("http://", "ws://")

    async def token(self, **body: object) -> str:
        """A fresh session token."""
        answer = await self.http.post("/api/realtime/token", json=body, headers=BEARER)
        token: str = json.loads(answer.content)["data"]["token"]
        return token


@contextlib.asynccontextmanager
async def served(environ: Mapping[str, str] = PREVIEW, *, data_dir: Path | None = None) -> AsyncIterator[Served]:
    """Serve a gateway with these settings until the block ends, then stop it as SIGTERM would.

    Without a ``data_dir`` it has one of its own, which is gone afterwards.
    """
    async with contextlib.AsyncExitStack() as stack:
        if data_dir is None:
            data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voxgate-tests-")))
        environ = {**environ, "VOXGATE_DATA_DIR": str(data_dir)}
        listener = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        task = asyncio.create_task(
            serve(load(environ), listener, ready=ready.set_result, stop=stop, environ=environ)
        )  # fmt: skip
        task.add_done_callback(lambda _: ready.done() or ready.cancel())
        try:
            gateway = await ready
        except asyncio.CancelledError:
            await task  # it ended before it was ready, and says why
            raise
        try:
            async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
                yield Served(url, gateway, http, data_dir)
        finally:
            stop.set()
            await task


async def stubbed(http: httpx.AsyncClient, event_id: str) -> dict[str, Any]:
    """What the local stub of a gateway says of an event, once it has received it."""
    async with asyncio.timeout(20):
        while True:
            answer = await http.get(f"/api/voice/fanout/stub/{event_id}", headers=BEARER)
            if answer.status_code != 404:
                received: dict[str, Any] = assert_envelope(answer)["data"]
                return received


def shared(server: EmbeddedServer) -> dict[str, str]:
    """The settings of a gateway that shares ``server`` with others."""
    return {
        "VOXGATE_NATS_URL": server.url,
        "VOXGATE_NATS_USER": server.user,
        "VOXGATE_NATS_PASSWORD": server.password,
    }


def names_in(folder: Path) -> set[str]:
    """What lies in a folder."""
    return {path.name for path in folder.iterdir()}


async def close_code_of(client: ClientConnection) -> int | None:
    """Read until the connection ends; its close code."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in client:
            pass
    return client.close_code
