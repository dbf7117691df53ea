"""Two gateways over one NATS server are one deployment: a token, a revocation, a quota, a target, a session."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.backplane.servers import running_server
from tests.fanout.receivers import Receiver
from tests.gateway.rig import BEARER, PREVIEW, SECRET, Served, close_code_of, served, shared
from tests.helpers.envelope import assert_envelope
from voxgate_backplane import Backplane, Credentials, Directory, EmbeddedServer, backplane
from voxgate_core import Environment, Place, SystemClock, VoxgateError
from voxgate_security import TokenIssuer, TokenRequest, Verifier, load_keyring

RACES = 1000
RACERS_EACH = 4
SECONDS = 20.0


@dataclass
class Pair:
    server: EmbeddedServer
    one: Served
    other: Served


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with running_server(tmp_path / "nats") as running:
        yield running


@pytest.fixture
async def pair(server: EmbeddedServer) -> AsyncIterator[Pair]:
    environ = {**PREVIEW, **shared(server), "VOXGATE_FANOUT_ALLOW_NETS": "127.0.0.0/8"}
    async with served(environ) as one, served(environ) as other:
        yield Pair(server, one, other)


def plane_of(server: EmbeddedServer) -> "contextlib.AbstractAsyncContextManager[Backplane]":
    """A connection of its own to what the gateways share."""
    return backplane(server.url, Credentials(server.user, server.password))


async def opened(gateway: Served, token: str) -> tuple[ClientConnection, dict[str, object]]:
    """A socket on ``/realtime`` and the first thing it was told."""
    client = await connect(f"{gateway.ws_url}/realtime", additional_headers={"Authorization": f"Bearer {token}"})
    return client, json.loads(await client.recv())


async def test_of_a_thousand_races_for_one_token_over_two_gateways_each_has_one_winner(server: EmbeddedServer) -> None:
    clock, ring = SystemClock(), load_keyring(SECRET)
    issuer = TokenIssuer(ring, clock, Environment.PREVIEW)

    async def verdict(verifier: Verifier, token: str) -> str:
        try:
            return (await verifier.verify(token, origin=None, single_use=True)).token_id
        except VoxgateError as error:
            return error.code

    async with plane_of(server) as one, plane_of(server) as other:
        verifiers = [Verifier(ring, clock, Environment.PREVIEW, plane.store) for plane in (one, other)]
        wins = [0, 0]
        for race in range(RACES):
            issued = issuer.issue(TokenRequest(subject="ada"))
            racers = [(number + race) % 2 for number in range(2 * RACERS_EACH)]  # they take turns to be the first
            verdicts = await asyncio.gather(*(verdict(verifiers[racer], issued.token) for racer in racers))
            assert sorted(verdicts) == sorted([issued.grant.token_id] + ["token_replayed"] * (len(racers) - 1))
            wins[racers[verdicts.index(issued.grant.token_id)]] += 1
    assert sum(wins) == RACES
    assert all(wins)


async def test_a_token_opens_one_session_at_one_of_two_gateways(pair: Pair) -> None:
    for _ in range(20):
        token = await pair.one.token(sub="ada")
        ends = await asyncio.gather(*(opened(gateway, token) for gateway in (pair.one, pair.other) * 2))
        assert sorted(str(first["type"]) for _, first in ends) == ["auth_success", "error", "error", "error"]
        await asyncio.gather(*(client.close() for client, _ in ends))


async def test_a_revocation_at_one_gateway_closes_the_session_at_the_other(pair: Pair) -> None:
    client, first = await opened(pair.other, await pair.one.token(sub="ada"))
    body = {"sessionId": first["sessionId"]}
    assert_envelope(await pair.one.http.post("/api/realtime/revoke", json=body, headers=BEARER))
    async with asyncio.timeout(SECONDS):
        assert await close_code_of(client) == 4003


async def test_quotas_count_what_both_gateways_issue(server: EmbeddedServer) -> None:
    environ = {**PREVIEW, **shared(server), "VOXGATE_QUOTA_SUBJECT": "10/hour"}
    async with served(environ) as one, served(environ) as other:
        asked = [
            gateway.http.post("/api/realtime/token", json={"sub": "ada"}, headers=BEARER)
            for gateway in (one, other) * 10
        ]  # fmt: skip
        answers = [answer.status_code for answer in await asyncio.gather(*asked)]
        assert sorted(answers) == [200] * 10 + [429] * 10


async def test_a_target_added_at_one_gateway_gets_what_the_other_accepts(pair: Pair) -> None:
    async with Receiver() as receiver:
        target = {"name": "hook", "url": receiver.url, "events": ["order.*"]}
        assert_envelope(await pair.one.http.post("/api/voice/fanout/targets", json=target, headers=BEARER), 201)
        async with asyncio.timeout(SECONDS):
            while len(await targets_of(pair.other)) < 2:
                continue  # it hears of it from the store
        event = {"type": "order.placed", "data": {}}
        answer = assert_envelope(await pair.other.http.post("/api/voice/fanout", json=event, headers=BEARER), 202)
        assert set(answer["data"]["targets"]) == {"hook", "stub"}
        await receiver.has_received(1)
        assert receiver.received[0].headers["webhook-id"] == answer["data"]["eventId"]


async def targets_of(gateway: Served) -> list[str]:
    answer = assert_envelope(await gateway.http.get("/api/voice/fanout/targets", headers=BEARER))
    return [target["name"] for target in answer["data"]["targets"]]


async def test_an_idempotency_key_holds_at_both_gateways(pair: Pair) -> None:
    event = {"type": "order.placed", "data": {"number": 1}}
    headers = {**BEARER, "Idempotency-Key": "order-1"}
    first = assert_envelope(await pair.one.http.post("/api/voice/fanout", json=event, headers=headers), 202)
    second = await pair.other.http.post("/api/voice/fanout", json=event, headers=headers)
    assert assert_envelope(second, 202)["data"]["eventId"] == first["data"]["eventId"]
    assert second.headers["idempotency-replayed"] == "true"


async def found(directory: Directory, session_id: str, *, is_there: bool) -> Place | None:
    """What the directory says of a session, once it says that it is there, or that it is not."""
    async with asyncio.timeout(SECONDS):
        while ((place := await directory.find(session_id)) is not None) is not is_there:
            continue
    return place


async def test_a_session_is_found_where_it_is_and_gone_when_it_has_ended(pair: Pair) -> None:
    async with plane_of(pair.server) as plane:
        directory = Directory(plane.store, Place("nobody", "http://nowhere.invalid"))
        async with asyncio.timeout(SECONDS):
            while len(await directory.nodes()) != 2:
                continue
        for gateway in (pair.one, pair.other):
            client, first = await opened(gateway, await pair.one.token(sub="ada"))
            place = await found(directory, str(first["sessionId"]), is_there=True)
            assert place is not None
            async with httpx.AsyncClient(base_url=place.url, trust_env=False) as door:
                health = assert_envelope(await door.get("/api/health"))
            assert health["checks"]["relay"]["sessions"] == 1, "its address leads to another gateway"
            await client.close()
            await found(directory, str(first["sessionId"]), is_there=False)


async def test_a_gateway_that_stops_is_no_node_any_more(server: EmbeddedServer) -> None:
    async with plane_of(server) as plane:
        directory = Directory(plane.store, Place("nobody", "http://nowhere.invalid"))
        async with served({**PREVIEW, **shared(server)}) as gateway:
            client, first = await opened(gateway, await gateway.token(sub="ada"))
            await found(directory, str(first["sessionId"]), is_there=True)
        assert await directory.nodes() == ()
        assert await directory.find(str(first["sessionId"])) is None
        assert await close_code_of(client) == 1012


async def test_two_deployments_on_one_server_share_nothing(server: EmbeddedServer) -> None:
    theirs = {**PREVIEW, **shared(server), "VOXGATE_NATS_PREFIX": "theirs"}
    async with served({**PREVIEW, **shared(server)}) as one, served(theirs) as other:
        token = await one.token(sub="ada")
        for gateway in (one, other):  # each keeps its own book of used tokens
            client, first = await opened(gateway, token)
            assert first["type"] == "auth_success"
            await client.close()
        target = {"name": "hook", "url": "https://hook.invalid/", "events": ["x.*"]}
        assert_envelope(await one.http.post("/api/voice/fanout/targets", json=target, headers=BEARER), 201)
        assert await targets_of(one) == ["hook", "stub"]
        assert await targets_of(other) == ["stub"]
