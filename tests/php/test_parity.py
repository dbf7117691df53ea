"""The same requests to the PHP shim on a real server and to the Python stub on another: the same answers."""

import asyncio
import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from tests.php.cases import CASES, TRACE, Case
from tests.php.shim import PhpServer, needs_php, php_server
from tests.responder.serving import RawAnswer, exchange, serving
from voxgate_core import SystemClock
from voxgate_responder import EnvelopeMiddleware, install, respond, security_headers
from voxgate_responder.endpoints import ENDPOINTS, LocalStub, create_stub_router

COMPARED = (
    "content-type", "content-length", "x-trace-id", "allow", "www-authenticate",
    *(name.decode() for name, _ in security_headers(private=True)),
)  # fmt: skip
FRESH = re.compile(rb"[0-9a-f]{32}")


def stub_app() -> EnvelopeMiddleware:
    app = FastAPI()
    install(app)
    app.include_router(create_stub_router(respond, LocalStub(SystemClock())))
    return EnvelopeMiddleware(app)


@pytest.fixture(scope="module")
def shim() -> Iterator[PhpServer]:
    with php_server() as server:
        yield server


@pytest.fixture(scope="module")
def stub() -> Iterator[int]:
    """The port of the Python stub, on a loop in a thread of its own: one server serves every case."""
    ports: Future[int] = Future()
    ended = threading.Event()

    async def serve() -> None:
        async with serving(stub_app()) as port:
            ports.set_result(port)
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        yield ports.result(timeout=10)
    finally:
        ended.set()
        thread.join()


def check(case: Case, answer: RawAnswer) -> None:
    """What holds for each of the two, whatever the other says."""
    assert answer.status_code == case.status, answer.content[:500]
    for name, value in security_headers(private=True):
        assert answer.headers[name.decode()] == value.decode()
    assert "x-powered-by" not in answer.headers
    trace_id = answer.headers["x-trace-id"]
    assert trace_id == TRACE or case.name == "no-trace"
    assert answer.headers["traceparent"].startswith(f"00-{trace_id}-")
    if case.method == "HEAD" or case.status == 204:
        assert answer.content == b""
        return
    schema = ENDPOINTS[case.endpoint].schema
    Draft202012Validator(schema).validate(answer.json())
    Draft202012Validator(schema["$defs"]["success" if case.status < 400 else "problem"]).validate(answer.json())
    assert answer.json()["traceId"] == trace_id


def compared(headers: Mapping[str, str]) -> dict[str, Any]:
    shown = {name: headers.get(name) for name in COMPARED}
    return {**shown, "x-trace-id": FRESH.sub(b"*", str(shown["x-trace-id"]).encode())}


@needs_php
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_php_and_python_give_the_same_answer(case: Case, shim: PhpServer, stub: int) -> None:
    head_only = case.method == "HEAD"
    python = await exchange(stub, case.raw(), head_only=head_only)
    php = await exchange(shim.port, case.raw(), head_only=head_only)
    check(case, python)
    check(case, php)
    if case.name == "no-trace":
        assert FRESH.sub(b"*", php.content) == FRESH.sub(b"*", python.content)
    else:
        assert php.content == python.content
    assert compared(php.headers) == compared(python.headers)


def test_the_table_of_cases_reaches_every_endpoint_and_method() -> None:
    asked = {(case.endpoint, case.method) for case in CASES if case.status < 300}
    offered = {(name, method) for name, endpoint in ENDPOINTS.items() for method in endpoint.methods}
    assert offered - asked == {("conversations", "DELETE")}, "a fixture is not deleted: test_store.py deletes for real"
    assert len({case.name for case in CASES}) == len(CASES)
