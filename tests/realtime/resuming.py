"""A gateway, a model server and clients whose network drops. Real sockets throughout."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.realtime.peers import (
    LIMITS,
    Gateway,
    OneToken,
    gateway,
    model_server,
)
from voxgate_core import Grant, Leash
from voxgate_realtime import RelayLimits, State


class ManyTokens(OneToken):
    """A verifier of tokens that name their subject and themselves: ``ada-2``."""

    async def verify(self, token: str, *, origin: str | None, single_use: bool) -> Grant:
        subject, _, number = token.partition("-")
        grant = await super().verify("good-token", origin=origin, single_use=single_use)
        return replace(grant, subject=subject, session_id=f"sess-{number}", token_id=f"jti-{number}")


@dataclass
class Model:
    """A model server that says what a test tells it to, and notes what it hears."""

    connections: list[ServerConnection] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    said: int = 0
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        await self._tell_news()
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                self.heard.append(json.loads(message)["event_id"])
                await self._tell_news()
        await self._tell_news()

    async def _tell_news(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def until_heard(self, count: int) -> None:
        async with self.news:
            await self.news.wait_for(lambda: len(self.heard) >= count)

    async def until_closed(self) -> tuple[int | None, str | None]:
        [connection] = self.connections
        await connection.wait_closed()
        return connection.close_code, connection.close_reason

    async def say(self, count: int = 1, padding: int = 0) -> None:
        async with self.news:
            await self.news.wait_for(lambda: self.connections)
        for _ in range(count):
            self.said += 1
            event = {"type": "response.output_audio.delta", "event_id": f"event_{self.said}", "delta": "A" * padding}
            await self.connections[-1].send(json.dumps(event))


@dataclass
class World:
    gw: Gateway
    model: Model

    def client(self, token: str, resume: str | None = None, last: str | None = None, **options: Any) -> Any:
        query = "" if resume is None else f"?resume={resume}" + ("" if last is None else f"&last_event_id={last}")
        return self.gw.client(f"/realtime{query}", token=token, **options)


@contextlib.asynccontextmanager
async def world(limits: RelayLimits = LIMITS, leash: Leash | None = None) -> AsyncIterator[World]:
    model = Model()
    async with model_server(model.serve) as url, gateway(url, limits=limits, verifier=ManyTokens(leash)) as gw:
        yield World(gw, model)


async def event_of(client: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(await client.recv()))


async def hear(client: ClientConnection, count: int) -> list[int]:
    return [int((await event_of(client))["event_id"].removeprefix("event_")) for _ in range(count)]


async def speak(client: ClientConnection, *ids: str) -> None:
    for each in ids:
        await client.send(json.dumps({"type": "input_audio_buffer.append", "event_id": each, "audio": "AAAA"}))


async def drop(client: ClientConnection, gw: Gateway) -> None:
    """Cut the connection of an open session as a network does: without a close frame."""
    while any(relay.session.state is State.CONNECTING for relay in gw.realtime.sessions):
        await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)
    gw.observer.any_detached.clear()
    client.transport.abort()
    await gw.observer.any_detached.wait()
