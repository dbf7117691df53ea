"""Posting events, and the stub that receives them: what is accepted and told, and every way to be turned away."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.fanout.fake_queue import DELIVERED, FakeSender
from tests.fanout.operating import BACKEND, DEAD, OPERATOR, ORIGIN, POST, REPLAY, STUB, TARGETS, Site, data, refused
from tests.fanout.stores import NOW, PATIENCE, filed, only, unavailable
from voxgate_core import Event
from voxgate_fanout.delivery import Delivery
from voxgate_fanout.event import MAX_EVENT, encode_event
from voxgate_fanout.outcome import Outcome
from voxgate_fanout.records import decode_record
from voxgate_fanout.signing import new_secret, secret_key, signed_headers

EVENT = {"type": "order.paid", "subject": "o-1", "data": {"total": 3}}


async def posted(site: Site, body: object = EVENT, **headers: str) -> httpx.Response:
    return await site.ask("POST", POST, body, {**BACKEND, **headers})


async def test_a_posted_event_is_durable_when_it_is_answered() -> None:
    site = await Site([filed("php")]).loaded()
    told = data(await posted(site), 202)
    assert told == {"eventId": told["eventId"], "targets": ["php", "stub"], "stub": True}
    ((_, record, _),) = site.queue.puts
    (item,) = decode_record(record)
    assert item.id == told["eventId"]
    assert item.targets == ("file-php", "env-stub")
    assert json.loads(item.body)["data"] == {"total": 3}


async def test_an_event_that_nobody_wants_is_accepted_for_nobody() -> None:
    site = await Site(stub=False).loaded()
    assert data(await posted(site), 202)["targets"] == []
    assert site.queue.puts == []


async def test_a_target_that_is_only_called_stub_is_not_the_stub() -> None:
    site = await Site(stub=False).loaded()
    await site.add("stub")
    told = data(await posted(site), 202)
    assert (told["targets"], told["stub"]) == (["stub"], False)


async def test_the_same_key_and_body_again_is_answered_as_before_and_stored_once() -> None:
    site = await Site().loaded()
    first = await posted(site, **{"Idempotency-Key": "k1"})
    again = await posted(site, **{"Idempotency-Key": "k1"})
    assert data(again, 202) == data(first, 202)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(site.queue.puts) == 1
    refused(await posted(site, {**EVENT, "data": {}}, **{"Idempotency-Key": "k1"}), 409, "conflict")
    other = await site.ask("POST", POST, EVENT, {**OPERATOR, "Idempotency-Key": "k1"})
    assert data(other, 202)["eventId"] != data(first, 202)["eventId"]


async def test_a_key_whose_answer_was_lost_gets_the_same_event_id() -> None:
    site = await Site().loaded()
    site.link.before = only("put", "idempotency.", unavailable)
    refused(await posted(site, **{"Idempotency-Key": "k1"}), 503, "unavailable")
    told = data(await posted(site, **{"Idempotency-Key": "k1"}), 202)
    ((_, record, _),) = site.queue.puts
    assert decode_record(record)[0].id == told["eventId"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b"\xff", "malformed_json"),
        (b'{"type": "a", "type": "b", "data": {}}', "malformed_json"),
        ({}, "bad_request"),
        ([], "bad_request"),
        ({"type": "order.paid"}, "bad_request"),
        ({"type": "voxgate.x", "data": {}}, "bad_request"),
        ({**EVENT, "data": "text"}, "bad_request"),
        ({**EVENT, "more": 1}, "bad_request"),
        ({**EVENT, "id": "a b"}, "bad_request"),
    ],
)
async def test_what_is_no_event_is_a_bad_request(body: object, code: str) -> None:
    site = await Site().loaded()
    refused(await posted(site, body, **{"Content-Type": "application/json"}), 400, code)
    assert site.queue.puts == []


@pytest.mark.parametrize("media", ["", "text/plain", "application/jsonx", "application/cloudevents+json"])
async def test_a_body_of_another_type_is_refused(media: str) -> None:
    site = await Site().loaded()
    answer = await posted(site, json.dumps(EVENT).encode(), **{"Content-Type": media})
    refused(answer, 415, "unsupported_media_type")


async def test_a_type_may_have_parameters_and_any_case() -> None:
    site = await Site().loaded()
    answer = await posted(site, json.dumps(EVENT).encode(), **{"Content-Type": "Application/JSON; charset=utf-8"})
    data(answer, 202)


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1024):
        yield b" " * 1024
    yield b" " * (size % 1024)


async def test_a_body_that_is_too_large_is_refused_while_it_comes() -> None:
    site = await Site().loaded()
    headers = {"Content-Type": "application/json"}
    error = refused(await posted(site, b" " * (MAX_EVENT + 1), **headers), 413, "body_too_large")
    assert error["details"] == {"limit": MAX_EVENT}
    answer = await site.ask("POST", POST, headers={**BACKEND, **headers}, content=chunks(MAX_EVENT + 1))
    refused(answer, 413, "body_too_large")
    refused(await posted(site, b" " * MAX_EVENT, **headers), 400, "malformed_json")


async def test_a_key_that_is_none_is_a_bad_request() -> None:
    site = await Site().loaded()
    refused(await posted(site, **{"Idempotency-Key": "a b"}), 400, "bad_request")
    twice = [*BACKEND.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    refused(await site.ask("POST", POST, EVENT, httpx.Headers(twice)), 400, "bad_request")


async def test_a_caller_that_posts_too_much_is_told_when_to_come_again() -> None:
    site = await Site(rate=1.0).loaded()
    for _ in range(2):
        data(await posted(site), 202)
    answer = await posted(site)
    refused(answer, 429, "quota_exceeded")
    assert 0 < float(answer.headers["retry-after"]) <= 1.1
    data(await site.ask("POST", POST, EVENT, OPERATOR), 202)
    site.clock.advance(1.1)
    data(await posted(site), 202)


async def test_an_event_that_can_not_be_stored_is_not_accepted() -> None:
    site = await Site().loaded()
    site.queue.unavailable = True
    refused(await posted(site), 503, "unavailable")
    site.queue.unavailable = False
    site.link.before = unavailable
    refused(await posted(site, **{"Idempotency-Key": "k1"}), 503, "unavailable")


ROUTES = [
    ("POST", POST, False),
    ("GET", TARGETS, True),
    ("POST", TARGETS, True),
    ("DELETE", f"{TARGETS}/php", True),
    ("POST", f"{TARGETS}/php/disable", True),
    ("POST", f"{TARGETS}/php/enable", True),
    ("POST", f"{TARGETS}/php/test", True),
    ("POST", f"{TARGETS}/php/rotate-secret", True),
    ("GET", f"{DEAD}?limit=x", True),
    ("POST", REPLAY, True),
    ("GET", f"{STUB}/%2E%2E", True),
]


@pytest.mark.parametrize(("method", "path", "operators_only"), ROUTES)
async def test_callers_are_judged_before_anything_else(method: str, path: str, operators_only: bool) -> None:
    """The body is hostile, the query of one route and the path of another too: none of it is looked at."""
    site = await Site([filed("php")]).loaded()
    kept = await site.store.scan("")

    async def ask(**headers: str) -> httpx.Response:
        return await site.ask(method, path, b"\xff" * (MAX_EVENT + 1), headers)

    refused(await ask(Authorization="Bearer ops", Origin="https://evil.example"), 403, "origin_refused")
    refused(await ask(), 401, "credential_missing")
    refused(await ask(Authorization="Bearer guess"), 401, "credential_invalid")
    answer = await ask(Authorization="Bearer backend", Origin=ORIGIN)
    if operators_only:
        refused(answer, 403, "role_refused")
    else:
        refused(answer, 415, "unsupported_media_type")
    assert await site.store.scan("") == kept
    assert site.sender.sent == []


def test_every_route_of_the_router_was_judged() -> None:
    documented = Site().app.openapi()["paths"]
    routes = {(method.upper(), path) for path, methods in documented.items() for method in methods}
    tested = {
        (method, path.partition("?")[0].replace("/php", "/{name}").replace("/%2E%2E", "/{event_id}"))
        for method, path, _ in ROUTES
    }
    assert routes == tested | {("POST", STUB)}


class ToSite(FakeSender):
    """Sends deliveries into a site."""

    site: Site

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()

    async def deliver(self, delivery: Delivery) -> Outcome:
        data(await self.site.ask("POST", STUB, delivery.body, delivery.headers))
        self.arrived.set()
        return DELIVERED


async def test_a_posted_event_arrives_at_the_stub_signed_and_once() -> None:
    sender = ToSite()
    sender.site = site = Site(sender=sender)
    async with site.fanout.running():
        event_id = data(await posted(site), 202)["eventId"]
        async with asyncio.timeout(PATIENCE):
            await sender.arrived.wait()
        seen = data(await site.ask("GET", f"{STUB}/{event_id}"))
    expected = {"eventId": event_id, "type": "order.paid", "receivedAt": NOW, "deliveries": 1, "signature": "valid"}
    assert seen == expected


def signed(site: Site, secret: str | None = None) -> tuple[bytes, dict[str, str]]:
    body = encode_event(Event("evt_1", "/voxgate", "order.paid", NOW))
    key = secret_key(secret or site.fanout.registry.named("stub").secrets[0].value)
    return body, signed_headers("evt_1", body, [key], NOW)


async def test_the_stub_takes_what_is_signed_and_counts_it() -> None:
    site = await Site().loaded()
    body, headers = signed(site)
    assert data(await site.ask("POST", STUB, body, headers)) == {"eventId": "evt_1", "deliveries": 1}
    assert data(await site.ask("POST", STUB, body, headers)) == {"eventId": "evt_1", "deliveries": 2}


async def test_the_stub_believes_no_other_secret_no_old_time_and_no_header_that_comes_twice() -> None:
    site = await Site().loaded()
    body, headers = signed(site, new_secret())
    refused(await site.ask("POST", STUB, body, headers), 401, "credential_invalid")
    refused(await site.ask("POST", STUB, body, OPERATOR), 401, "credential_invalid")
    body, headers = signed(site)
    for name in headers:
        twice: Any = httpx.Headers([(name, "evt_0"), *headers.items()])
        refused(await site.ask("POST", STUB, body, twice), 401, "credential_invalid")
    site.clock.advance(301)
    refused(await site.ask("POST", STUB, body, headers), 401, "credential_invalid")
    refused(await site.ask("GET", f"{STUB}/evt_1"), 404, "not_found")


async def test_the_stub_refuses_a_signed_body_that_is_no_event_and_one_that_is_too_large() -> None:
    site = await Site().loaded()
    key = secret_key(site.fanout.registry.named("stub").secrets[0].value)
    refused(await site.ask("POST", STUB, b"{}", signed_headers("evt_1", b"{}", [key], NOW)), 400, "bad_request")
    refused(await site.ask("POST", STUB, b"x" * (MAX_EVENT + 1)), 413, "body_too_large")


@pytest.mark.parametrize("event_id", ["a%20b", "%2E%2E", "x" * 65, "a%0A"])
async def test_an_id_that_no_event_has_is_refused(event_id: str) -> None:
    refused(await (await Site().loaded()).ask("GET", f"{STUB}/{event_id}"), 422, "invalid_input")


async def test_without_a_stub_its_routes_are_not_there() -> None:
    site = await Site(stub=False).loaded()
    assert (await site.ask("POST", STUB, b"{}")).status_code == 404
    assert (await site.ask("GET", f"{STUB}/evt_1")).status_code == 404
