from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from voxgate_core import Answer, ManualClock, VoxgateError
from voxgate_responder import EnvelopeMiddleware, install, respond
from voxgate_responder.endpoints import ENDPOINTS, Backend, Call, LocalStub, Refused, create_stub_router

JSON = {"content-type": "application/json"}


class Gate:
    """Lets one bearer in."""

    async def admit(self, headers: Sequence[tuple[bytes, bytes]], *, operator: bool = False) -> str:
        if (b"authorization", b"Bearer good") not in list(headers):
            raise VoxgateError("credential_missing")
        return "caller"


class Keeping:
    """A backend that keeps its calls and does as it was told."""

    def __init__(self, outcome: Answer | Exception, *, believing: bool = False) -> None:
        self._outcome = outcome
        self._believing = believing
        self.calls: list[Call] = []

    def believes(self, call: Call) -> bool:
        return self._believing

    async def answer(self, call: Call) -> Answer:
        self.calls.append(call)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def client(backend: Backend | None = None, **settings: Any) -> httpx.AsyncClient:
    app = FastAPI()
    install(app)
    app.include_router(create_stub_router(respond, backend or LocalStub(ManualClock()), **settings))
    return httpx.AsyncClient(transport=httpx.ASGITransport(EnvelopeMiddleware(app)), base_url="http://localhost")


@pytest.mark.parametrize("name", list(ENDPOINTS))
async def test_each_of_the_seven_answers_at_its_path(name: str) -> None:
    endpoint = ENDPOINTS[name]
    method = next(iter(endpoint.methods))
    async with client() as asked:
        answer = await asked.request(method, endpoint.path, json={"text": "hi"} if method == "POST" else None)
        assert answer.status_code == 200
        endpoint.success.validate(answer.json())
        options = await asked.options(endpoint.path)
        assert (options.status_code, options.content) == (204, b"")
        wrong = await asked.put(endpoint.path)
        assert wrong.status_code == 405
        assert wrong.headers["allow"] == options.headers["allow"]
        head = await asked.head(endpoint.path)
        assert (head.status_code, head.content) == (200 if "GET" in endpoint.methods else 405, b"")


async def test_nothing_else_is_answered() -> None:
    async with client() as asked:
        for path in ("/api/other.php", "/api/health.php/x", "/api/sales/", "/api/health"):
            assert (await asked.get(path, follow_redirects=False)).status_code == 404


async def test_a_call_carries_what_was_asked_and_the_trace() -> None:
    backend = Keeping(Answer({"settings": 1}))
    async with client(backend) as asked:
        headers = {"traceparent": f"00-{'c' * 32}-{'d' * 16}-01", **JSON}
        await asked.post("/api/chatbot_settings.php?a=%2F&b=1", content=b'{"x":1}', headers=headers)
        [call] = backend.calls
        assert (call.endpoint.name, call.method, call.query, call.body) == (
            "chatbot_settings", "POST", "a=%2F&b=1", b'{"x":1}'
        )  # fmt: skip
        assert call.trace.trace_id == "c" * 32
        assert call.content_type == "application/json"


async def test_a_gate_guards_all_but_health_and_what_the_backend_believes() -> None:
    async with client(gate=Gate()) as asked:
        assert (await asked.get("/api/health.php")).status_code == 200
        assert (await asked.get("/api/conversations.php")).status_code == 401
        assert (await asked.get("/api/conversations.php", headers={"authorization": "Bearer good"})).status_code == 200
    backend = Keeping(Answer({}), believing=True)
    async with client(backend, gate=Gate()) as asked:
        assert (await asked.post("/api/voice-chat.php", json={})).status_code == 200


async def test_a_refusal_of_the_backend_has_its_status() -> None:
    backend = Keeping(Refused(VoxgateError("upstream_unreachable", "late"), 504))
    async with client(backend) as asked:
        answer = await asked.get("/api/marketing.php")
        assert answer.status_code == answer.json()["status"] == 504
        Draft202012Validator(ENDPOINTS["marketing"].schema).validate(answer.json())


async def test_a_backend_that_breaks_answers_500_and_tells_nothing() -> None:
    async with client(Keeping(RuntimeError("hunter2"))) as asked:
        answer = await asked.get("/api/marketing.php")
        assert answer.status_code == 500
        assert "hunter2" not in answer.text


async def test_the_document_names_every_operation_once_with_its_schemas() -> None:
    app = FastAPI()
    app.include_router(create_stub_router(respond, LocalStub(ManualClock())))
    document = app.openapi()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 9
    for operation in operations:
        assert operation["responses"]["200"]["content"]["application/json"]["schema"]["allOf"]
        assert "application/problem+json" in operation["responses"]["default"]["content"]
