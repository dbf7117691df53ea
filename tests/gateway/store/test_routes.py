"""The routes: whose conversations a caller sees, pages, search, deletion, and the limits on every parameter."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy import select, text

from tests.fanout.operating import render, respond
from tests.gateway.store.heard import Heard, keep
from voxgate_core import ManualClock, VoxgateError
from voxgate_gateway.store.conversations import Conversations
from voxgate_gateway.store.cursors import MAX_CURSOR
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.readers import Reader
from voxgate_gateway.store.routes import MAX_ITEMS, MAX_PAGE, MAX_QUERY, PATH, create_router
from voxgate_gateway.store.tables import AuditLine


class Gate:
    """:class:`Readers` that believes whoever says who they are."""

    async def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> Reader:
        caller = dict(headers).get(b"authorization")
        if caller is None:
            raise VoxgateError("credential_missing")
        return Reader(caller.decode(), caller == b"ops")


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.add_exception_handler(VoxgateError, render)
    app.add_exception_handler(RequestValidationError, render)
    app.include_router(create_router(Conversations(database, ManualClock(5000.0)), Gate(), respond))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        yield client


@pytest.fixture
async def kept(database: Database) -> None:
    await keep(database, [*Heard("s-1").whole("hello ada"), *Heard("s-2", "bob", at=2000.0).whole("hello bob")])
    await keep(database, Heard("s-3", at=3000.0).whole("bye ada"))


async def ask(
    client: httpx.AsyncClient, path: str = "", who: str | None = "ada", method: str = "GET", **query: Any
) -> httpx.Response:
    headers = {} if who is None else {"Authorization": who}
    return await client.request(method, PATH + path, headers=headers, params=query)


def data(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert list(body) == ["success", "traceId", "data"]
    found: dict[str, Any] = body["data"]
    return found


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def listed(client: httpx.AsyncClient, who: str, **query: Any) -> list[str]:
    return [found["id"] for found in data(await ask(client, who=who, **query))["conversations"]]


@pytest.mark.usefixtures("kept")
async def test_a_caller_sees_its_own_and_an_operator_everybodys(client: httpx.AsyncClient) -> None:
    assert await listed(client, "ada") == ["s-3", "s-1"]
    assert await listed(client, "ada", sub="ada") == ["s-3", "s-1"]
    assert await listed(client, "eve") == []
    assert await listed(client, "ops") == ["s-3", "s-2", "s-1"]
    assert await listed(client, "ops", sub="bob") == ["s-2"]
    refused(await ask(client, sub="bob"), 403, "role_refused")


@pytest.mark.usefixtures("kept")
async def test_what_is_somebody_elses_is_not_there(client: httpx.AsyncClient) -> None:
    for method in ("GET", "DELETE"):
        refused(await ask(client, "/s-2", method=method), 404, "not_found")
        refused(await ask(client, "/s-never", method=method), 404, "not_found")
    assert data(await ask(client, "/s-2", "bob"))["conversation"]["sub"] == "bob"
    assert data(await ask(client, "/s-2", "ops"))["conversation"]["sub"] == "bob"


@pytest.mark.usefixtures("kept")
async def test_search_stays_within_what_a_caller_sees(client: httpx.AsyncClient) -> None:
    assert await listed(client, "ada", q="HELLO") == ["s-1"]
    assert await listed(client, "ops", q="hello") == ["s-2", "s-1"]
    assert await listed(client, "ada", q="bob") == []


@pytest.mark.usefixtures("kept")
async def test_a_cursor_goes_on_and_shows_nobody_elses(client: httpx.AsyncClient) -> None:
    first = data(await ask(client, who="ops", limit=1))
    assert [one["id"] for one in first["conversations"]] == ["s-3"]
    second = data(await ask(client, who="ops", limit=1, cursor=first["next"]))
    assert [one["id"] for one in second["conversations"]] == ["s-2"]
    assert await listed(client, "ada", cursor=first["next"]) == ["s-1"]
    last = data(await ask(client, who="ops", limit=1, cursor=second["next"]))
    assert last["next"] is None


@pytest.mark.usefixtures("kept")
async def test_a_conversation_is_read_page_by_page(client: httpx.AsyncClient) -> None:
    first = data(await ask(client, "/s-1", limit=2))
    assert [item["kind"] for item in first["items"]] == ["transcript", "tool"]
    second = data(await ask(client, "/s-1", limit=2, cursor=first["next"]))
    assert [item["kind"] for item in second["items"]] == ["turn"]
    assert second["next"] is None


@pytest.mark.usefixtures("kept")
async def test_a_conversation_is_deleted_once(client: httpx.AsyncClient, database: Database) -> None:
    gone = data(await ask(client, "/s-1", method="DELETE"))
    assert gone == {"deleted": "s-1", "turns": 1, "transcripts": 1, "toolCalls": 1}
    refused(await ask(client, "/s-1", method="DELETE"), 404, "not_found")
    assert await listed(client, "ada") == ["s-3"]
    assert data(await ask(client, "/s-2", "ops", "DELETE"))["deleted"] == "s-2"
    async with database.reading() as connection:
        lines = await connection.execute(select(AuditLine.who, AuditLine.target).order_by(AuditLine.target))
    assert lines.all() == [("self", "s-1"), ("ops", "s-2")]  # no subject is named


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("", {"limit": 0}),
        ("", {"limit": MAX_PAGE + 1}),
        ("", {"limit": "many"}),
        ("", {"q": ""}),
        ("", {"q": "x" * (MAX_QUERY + 1)}),
        ("", {"q": "a\0b"}),
        ("", {"sub": ""}),
        ("", {"sub": "x" * 257}),
        ("", {"cursor": ""}),
        ("", {"cursor": "x"}),
        ("", {"cursor": "A" * (MAX_CURSOR + 1)}),
        ("/s-1", {"cursor": "bm8"}),
        ("/s-1", {"limit": MAX_ITEMS + 1}),
        ("/s%201", {}),
        ("/" + "s" * 65, {}),
        ("/%00", {}),
    ],
)
async def test_every_parameter_has_limits(client: httpx.AsyncClient, path: str, query: dict[str, Any]) -> None:
    refused(await ask(client, path, "ops", **query), 422, "invalid_input")
    refused(await ask(client, path, None, **query), 401, "credential_missing")  # the caller is judged first


async def test_a_database_that_is_away_is_said(client: httpx.AsyncClient, database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("DROP TABLE turns"))
        await connection.execute(text("DROP TABLE transcripts"))
        await connection.execute(text("DROP TABLE tool_calls"))
        await connection.execute(text("DROP TABLE sessions"))
    refused(await ask(client), 503, "unavailable")
