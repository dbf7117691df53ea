"""A gateway's fan-out behind its routes, with a renderer, a gate, a queue and a sender of the tests' own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from tests.fanout.fake_queue import FakeQueue, FakeSender
from tests.fanout.stores import NOW, Link, bare
from voxgate_core import Answer, DeadLetter, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_fanout import Admission, Fanout, Stub, create_router
from voxgate_fanout.event import encode_event, new_event_id, read_event
from voxgate_fanout.records import Item, encode_record
from voxgate_fanout.targets import Target

POST = "/api/voice/fanout"
TARGETS = f"{POST}/targets"
DEAD = f"{POST}/dead"
REPLAY = f"{POST}/replay"
STUB = f"{POST}/stub"
BACKEND = {"Authorization": "Bearer backend"}
OPERATOR = {"Authorization": "Bearer ops"}
ORIGIN = "https://app.example"


class Gate:
    """:class:`voxgate_core.CallerGate`: knows two keys and one origin."""

    async def admit(self, headers: Sequence[tuple[bytes, bytes]], *, operator: bool = False) -> str:
        given = dict(headers)
        if given.get(b"origin", ORIGIN.encode()) != ORIGIN.encode():
            raise VoxgateError("origin_refused")
        if b"authorization" not in given:
            raise VoxgateError("credential_missing")
        caller = given[b"authorization"].removeprefix(b"Bearer ").decode()
        if caller not in ("backend", "ops"):
            raise VoxgateError("credential_invalid")
        if operator and caller != "ops":
            raise VoxgateError("role_refused")
        return caller


def respond(answer: Answer) -> Response:
    """As the responder does it, but for what comes from the request."""
    return JSONResponse(
        {"success": True, "traceId": "0" * 32, "data": answer.data}, answer.status, dict(answer.headers)
    )


async def render(_: Request, error: Exception) -> Response:
    """As the responder does it: FastAPI's own refusals are ``invalid_input``."""
    if isinstance(error, RequestValidationError):
        error = VoxgateError("invalid_input", details={"fields": [list(fault["loc"]) for fault in error.errors()]})
    assert isinstance(error, VoxgateError)
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = f"{error.retry_after:g}"
    told = {"code": error.code, "message": error.message, "details": error.details}
    return JSONResponse({"success": False, "traceId": "0" * 32, "error": told}, error.kind.status, headers)


class Site:
    """The routes over a fan-out that is loaded; nothing is delivered unless a test has it running."""

    def __init__(
        self,
        fixed: Iterable[Target] = (),
        *,
        stub: bool = True,
        rate: float = 0.0,
        prod: bool = False,
        sender: FakeSender | None = None,
    ) -> None:
        self.clock = ManualClock(NOW)
        self.store = MemoryKeyValue(self.clock)
        self.link = Link(self.store)
        self.queue = FakeQueue(self.clock)
        self.sender = sender or FakeSender()
        targets = [*fixed, *([bare("stub", "stub")] if stub else [])]
        self.fanout = Fanout(self.queue, self.link, self.sender, prod=prod, fixed=targets, clock=self.clock)
        self.stub = Stub(self.link, self.clock, lambda: self.fanout.registry.named("stub")) if stub else None
        self.app = FastAPI()
        self.app.add_exception_handler(VoxgateError, render)
        self.app.add_exception_handler(RequestValidationError, render)
        admission = Admission(rate, self.clock)
        self.app.include_router(create_router(self.fanout, Gate(), respond, stub=self.stub, admission=admission))

    async def loaded(self) -> "Site":
        await self.fanout.registry.load()
        return self

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] = OPERATOR, **rest: Any
    ) -> httpx.Response:
        """A request; a body that is not bytes is sent as JSON."""
        if isinstance(body, bytes):
            rest["content"] = body
        elif body is not None:
            rest["json"] = body
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            return await client.request(method, path, headers=headers, **rest)

    async def add(self, name: str, **rest: object) -> dict[str, Any]:
        """A target, made over its route."""
        body = {"name": name, "url": f"https://{name}.example/hooks", **rest}
        return data(await self.ask("POST", TARGETS, body), 201)

    async def die(self, target_id: str, event_id: str | None = None, died_at: float | None = None) -> str:
        """A dead letter of a target; the id of its event."""
        body, now = b'{"type": "voice.turn.completed", "data": {}}', self.clock.now()
        event = read_event(body, source="/voxgate", now=now, event_id=event_id or new_event_id())
        item = Item(event.id, event.type, encode_event(event), (target_id,), now)
        died = now if died_at is None else died_at
        await self.queue.bury(DeadLetter(target_id, event.id, encode_record([item]), "HTTP 500", 8, now, died))
        return event.id


def data(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    """The data of a success."""
    assert response.status_code == status, response.text
    body = response.json()
    assert list(body) == ["success", "traceId", "data"]
    found: dict[str, Any] = body["data"]
    return found


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error of a refusal."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == code
    return error
