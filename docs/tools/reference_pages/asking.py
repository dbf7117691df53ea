"""Asks a gateway what each of its routes wants and refuses.

It is a whole one, composed in this process as ``voxgate serve`` does. What it would share with others is in memory; it
listens nowhere, and no model server is there.
"""

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import httpx

from voxgate_core import Answer, DeadLetter, DeadQuery, MemoryKeyValue, SystemClock
from voxgate_gateway import compose, load
from voxgate_gateway.composition import Surroundings
from voxgate_gateway.store.location import locate
from voxgate_gateway.store.modes import StoreMode
from voxgate_gateway.store.service import open_store
from voxgate_observability import Phase
from voxgate_responder import BODY_LIMIT
from voxgate_responder.endpoints.table import ENDPOINTS
from voxgate_security import new_key

__all__ = ["ANYBODY", "ISSUER", "NOBODY", "OPERATOR", "Found", "ask", "query_names"]

ANYBODY: Final = "none"
ISSUER: Final = "key"
OPERATOR: Final = "operator's key"
NOBODY: Final = "signature"
"""No key opens it: the request itself is signed."""

OWN: Final = "http://127.0.0.1:8080"
ENGINE: Final = "ws://127.0.0.1:9/v1/realtime"
JSON: Final = {"content-type": "application/json"}

BODIES: Final[tuple[tuple[Mapping[str, str], bytes], ...]] = (
    (JSON, b"{"),
    (JSON, b'{"surely": "not known"}'),
    ({"content-type": "text/plain"}, b"text"),
    (JSON, b'"' + b"x" * BODY_LIMIT + b'"'),
)
"""What no route takes."""

GOOD: Final = (
    b"{}",
    b'{"type": "order.paid", "data": {}}',
    b'{"name": "crm", "url": "https://crm.example.com/events"}',
)
"""What one route or the other takes: it shows with which status a route answers."""

PLACES: Final = ("{name}", "{event_id}", "{session_id}")


@dataclass
class Found:
    """What one route was seen to do. ``wants`` is the least credential that opens it."""

    operation: Mapping[str, Any]
    wants: str = ANYBODY
    answers: set[int] = field(default_factory=set)
    refusals: dict[str, int] = field(default_factory=dict)

    def note(self, answer: httpx.Response) -> None:
        if answer.is_success:
            self.answers.add(answer.status_code)
            return
        code = answer.json()["error"]["code"]
        if code == "internal_error":
            raise RuntimeError(f"{answer.request.method} {answer.request.url.path} failed: the page would be wrong")
        self.refusals[code] = answer.status_code


class _Queue:
    """Takes every job, and never has one."""

    async def put(self, lane: str, body: bytes, *, id: str | None = None, at: float | None = None) -> None:
        return None

    async def dead(self, query: DeadQuery) -> Sequence[DeadLetter]:
        return ()


class _Php:
    """A PHP backend that answers everything and verifies nothing itself."""

    def believes(self, call: object) -> bool:
        return False

    async def answer(self, call: object) -> Answer:
        return Answer({})


@cache
def ask() -> dict[tuple[str, str], Found]:
    """What was found, by method and path. An endpoint's ``wants`` is what it wants where PHP answers."""
    return asyncio.run(_ask())


async def _ask() -> dict[tuple[str, str], Found]:
    operator, stored_operator = new_key("reference", "operator")
    issuer, stored_issuer = new_key("reference-backend", "issuer")
    keys = f"{stored_operator},{stored_issuer}"
    bearers = {ANYBODY: {}, ISSUER: _bearer(issuer), OPERATOR: _bearer(operator)}
    async with _gateway(keys) as client, _gateway(keys, php=_Php()) as before_php:
        paths = (await client.get("/openapi.json")).json()["paths"]
        found = {(method.upper(), path): Found(each) for path, own in paths.items() for method, each in own.items()}
        for (method, path), route in found.items():
            for probe in _probes(method, path, route.operation):
                route.note(await client.request(method, headers={**bearers[OPERATOR], **probe.headers}, **probe.rest))
            asked = before_php if "endpoints" in route.operation.get("tags", ()) else client
            route.wants = await _wants(asked, method, path, bearers, route)
    return found


def query_names(method: str, path: str, operation: Mapping[str, Any]) -> list[str]:
    """What may stand in a route's query: by its OpenAPI document, or by the table of the seven endpoints."""
    names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    for endpoint in ENDPOINTS.values():
        if endpoint.path == path:
            names += endpoint.methods[method].get("query", {}).get("properties", {})
    return names


@dataclass
class _Probe:
    rest: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def _probes(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[_Probe]:
    url = _filled(path)
    yield _Probe({"url": url})
    if names := query_names(method, path, operation):
        yield _Probe({"url": url, "params": dict.fromkeys(names, "?")})
    if method == "POST":
        yield from (_Probe({"url": url, "content": body}, headers) for headers, body in BODIES)
        yield from (_Probe({"url": url, "content": body}, JSON) for body in GOOD)


async def _wants(
    client: httpx.AsyncClient, method: str, path: str, bearers: Mapping[str, Mapping[str, str]], route: Found
) -> str:
    for wants, bearer in bearers.items():
        answer = await client.request(method, _filled(path), headers=bearer)
        if answer.status_code not in (401, 403):
            return wants
        route.note(answer)
    return NOBODY


def _filled(path: str) -> str:
    for place in PLACES:
        path = path.replace(place, "nobody")
    return path


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@asynccontextmanager
async def _gateway(keys: str, *, php: object = None) -> AsyncIterator[httpx.AsyncClient]:
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "VOXGATE_ENV": "preview",
            "ALLOWED_ORIGINS": "https://voice.example.com",
            "JWT_SECRET": f"reference:{secrets.token_urlsafe(32)}",
            "VOXGATE_API_KEYS": keys,
            "VOXGATE_DATA_DIR": folder,
            "VOXGATE_FANOUT_FILE": os.devnull,  # whatever lies in the working directory
        }
        store = MemoryKeyValue(clock)
        plane = SimpleNamespace(store=store, requests=MemoryKeyValue(clock), queue=_Queue(), is_up=True)
        async with open_store(locate(Path(folder), ""), StoreMode.FULL, clock, upgrading=True) as kept:
            around = Surroundings(OWN, cast(Any, plane), cast(Any, None), cast(Any, php), kept)
            gateway = compose(load(settings), engine_url=ENGINE, around=around, environ={}, clock=clock)
            assert gateway.fanout is not None
            await gateway.fanout.registry.load()
            gateway.health.phase = Phase.READY
            transport = httpx.ASGITransport(gateway.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
                yield client
