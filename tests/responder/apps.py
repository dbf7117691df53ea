"""The small application that the responder's tests put behind the envelope."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, WebSocket
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse

from voxgate_core import Answer, VoxgateError, current_trace
from voxgate_responder import EnvelopeMiddleware, install, json_error, json_success, respond

SECRET = "the-database-password-is-hunter2"


class Order(BaseModel):
    name: str = Field(max_length=20)
    count: int = 1


class Failure(RuntimeError):
    """What no handler expects."""


def routes(app: FastAPI) -> FastAPI:
    @app.get("/api/ok")
    async def ok() -> Response:
        return json_success({"answer": 42}, legacy={"answer": 42})

    @app.get("/api/answer/{status}")
    async def answer(status: int) -> Response:
        return respond(Answer({"status": status}, status=status, headers={"x-custom": "kept"}))

    @app.get("/v1/bare")
    async def bare() -> Response:
        return respond(Answer({"value": "ek_x"}, bare=True))

    @app.get("/api/trace")
    async def trace() -> Response:
        seen = current_trace.get()
        assert seen is not None
        return json_success({"traceId": seen.trace_id, "parent": seen.parent_id})

    @app.post("/api/orders")
    async def orders(order: Order) -> Response:
        return json_success({"name": order.name, "count": order.count}, status=201)

    @app.put("/api/orders")
    async def replace(order: Order) -> Response:
        return json_success({"name": order.name})

    @app.post("/api/echo")
    async def echo(request: Request) -> Response:
        return json_success({"size": len(await request.body())})

    @app.post("/api/unread")
    async def unread() -> Response:
        return json_success({})

    @app.get("/api/query")
    async def query(q: Annotated[int, Query()] = 0) -> Response:
        return json_success({"q": q})

    @app.get("/api/quota")
    async def quota() -> Response:
        raise VoxgateError("quota_exceeded", retry_after=2.2, headers={"RateLimit": "limit=5"})

    @app.get("/api/http/{status}")
    async def http(status: int) -> Response:
        raise HTTPException(status, "a sentence for the caller", headers={"X-Kept": "yes"})

    @app.get("/api/returned")
    async def returned() -> Response:
        return json_error("conflict", "Seen before", details={"key": "k"})

    @app.get("/api/boom")
    @app.get("/v1/boom")
    async def boom() -> Response:
        raise Failure(SECRET)

    @app.get("/api/halfway")
    async def halfway() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            raise Failure(SECRET)

        return StreamingResponse(pieces())

    @app.get("/api/endless")
    async def endless() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b"."
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), headers={"x-endless": "yes"})

    @app.get("/page")
    async def page() -> Response:
        return HTMLResponse("<h1>page</h1>")

    @app.get("/page/own")
    async def own_page() -> Response:
        own = {"content-security-policy": "script-src 'self'; frame-ancestors 'none'", "x-frame-options": "SAMEORIGIN"}
        return HTMLResponse("<h1>own</h1>", headers=own)

    @app.get("/plain/{status}")
    async def plain(status: int) -> Response:
        return PlainTextResponse("words", status, headers={"x-kept": "yes"})

    @app.websocket("/ws/echo")
    async def ws_echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close(1000)

    @app.websocket("/ws/refused")
    async def ws_refused(socket: WebSocket) -> None:
        await socket.close(1008)

    @app.websocket("/ws/boom")
    async def ws_boom(socket: WebSocket) -> None:
        raise Failure(SECRET)

    @app.websocket("/ws/http")
    async def ws_http(socket: WebSocket) -> None:
        raise HTTPException(503)

    @app.websocket("/ws/late")
    async def ws_late(socket: WebSocket) -> None:
        await socket.accept()
        raise VoxgateError("draining")

    return app


def wrapped(**bounds: float) -> EnvelopeMiddleware:
    """The application as the gateway composes it: the envelope around all of FastAPI."""
    app = routes(FastAPI())
    install(app)
    return EnvelopeMiddleware(app, **bounds)  # type: ignore[arg-type]  # limits are ints, timeouts floats


def inside(**bounds: float) -> FastAPI:
    """The application with the envelope among FastAPI's own middleware."""
    app = routes(FastAPI())
    install(app)
    app.add_middleware(EnvelopeMiddleware, **bounds)  # type: ignore[arg-type]  # as above
    return app
