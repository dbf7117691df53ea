"""Several workers on one port behave as one gateway."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.gateway.processes import Process, children_of, gone, linux_only, started
from tests.gateway.rig import BEARER, PREVIEW, close_code_of, stubbed
from tests.helpers.envelope import assert_envelope

pytestmark = linux_only

TWO = ("--workers", "2")
SECONDS = 40.0
TOKENS = 50
RACERS = 4


@pytest.fixture
async def crew(tmp_path: Path) -> AsyncIterator[Process]:
    environ = {**PREVIEW, "VOXGATE_QUOTA_SUBJECT": "200/hour", "VOXGATE_LOG_LEVEL": "info"}
    async with started(tmp_path / "data", *TWO, environ=environ) as process:
        yield process


def fresh(process: Process) -> httpx.AsyncClient:
    """A client that opens a connection for each request: any worker may get it."""
    return httpx.AsyncClient(
        base_url=process.url, trust_env=False, headers=BEARER, limits=httpx.Limits(max_keepalive_connections=0)
    )


async def token_for(http: httpx.AsyncClient, subject: str) -> str:
    return str(assert_envelope(await http.post("/api/realtime/token", json={"sub": subject}))["token"])


async def open_session(process: Process, token: str) -> ClientConnection | None:
    """A session on ``/realtime``; ``None`` when the token was used before."""
    client = await connect(f"{process.ws_url}/realtime", additional_headers={"Authorization": f"Bearer {token}"})
    first = json.loads(await client.recv())
    if first["type"] == "auth_success":
        return client
    assert first["error"]["code"] == "token_replayed"
    assert await close_code_of(client) == 4003
    return None


async def sessions_held(http: httpx.AsyncClient, total: int) -> set[int]:
    """How many of ``total`` sessions each of two workers holds: asked until both have answered, or one holds all."""
    seen: set[int] = set()
    async with asyncio.timeout(SECONDS):
        while not any(total - count in seen for count in seen):
            answers = await asyncio.gather(*(http.get("/api/health") for _ in range(8)))
            seen |= {assert_envelope(answer)["checks"]["relay"]["sessions"] for answer in answers}
    return seen


async def test_both_workers_answer_and_a_revocation_by_one_closes_the_sessions_of_the_other(crew: Process) -> None:
    async with fresh(crew) as http, contextlib.AsyncExitStack() as stack:
        sessions: list[ClientConnection] = []
        held = {0}
        async with asyncio.timeout(SECONDS):
            while 0 in held:  # until each worker holds one
                tokens = [await token_for(http, "ada") for _ in range(4)]
                for session in await asyncio.gather(*(open_session(crew, token) for token in tokens)):
                    assert session is not None
                    sessions.append(session)
                    stack.push_async_callback(session.close)
                held = await sessions_held(http, len(sessions))
        assert_envelope(await http.post("/api/realtime/revoke", json={"sub": "ada"}))
        async with asyncio.timeout(SECONDS):
            codes = await asyncio.gather(*(close_code_of(session) for session in sessions))
        assert codes == [4003] * len(sessions)


async def test_a_token_opens_one_session_whichever_workers_it_is_shown_to(crew: Process) -> None:
    async with fresh(crew) as http:
        tokens = [await token_for(http, f"user-{number}") for number in range(TOKENS)]
        for token in tokens:
            opened = await asyncio.gather(*(open_session(crew, token) for _ in range(RACERS)))
            winners = [session for session in opened if session is not None]
            assert len(winners) == 1
            await winners[0].close()


async def test_quotas_count_the_tokens_of_all_workers(crew: Process) -> None:
    async with fresh(crew) as http:
        asked = [http.post("/api/realtime/token", json={"sub": "ada"}) for _ in range(240)]
        answers: list[int] = []
        for number in range(0, len(asked), 24):
            answers += [answer.status_code for answer in await asyncio.gather(*asked[number : number + 24])]
        assert sorted(answers) == [200] * 200 + [429] * 40


async def test_an_event_that_one_worker_accepts_is_delivered_once_whoever_delivers_it(crew: Process) -> None:
    async with fresh(crew) as http:
        event = {"type": "order.placed", "data": {}}
        posted = await asyncio.gather(*(http.post("/api/voice/fanout", json=event) for _ in range(20)))
        for answer in posted:
            received = await stubbed(http, assert_envelope(answer, 202)["data"]["eventId"])
            assert received["deliveries"] == 1


async def test_a_killed_worker_is_replaced_while_the_other_answers(crew: Process) -> None:
    workers = [pid for pid, name in children_of(crew.pid).items() if name != "nats-server"]
    assert len(workers) == 2
    async with fresh(crew) as http:
        os.kill(workers[0], signal.SIGKILL)
        await gone(workers[0])
        async with asyncio.timeout(SECONDS):
            while crew.logged().count('"a worker is ready"') < 3:
                assert_envelope(await http.get("/livez"))
        now = {pid for pid, name in children_of(crew.pid).items() if name != "nats-server"}
        assert len(now) == 2
        assert workers[1] in now
        assert workers[0] not in now
        answers = await asyncio.gather(*(http.get("/readyz") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
    assert "was ended by signal 9" in crew.logged()


async def test_a_client_gets_its_session_back_whichever_worker_it_comes_back_to(crew: Process) -> None:
    update = json.dumps({"type": "session.update", "session": {"type": "realtime"}})
    rounds = 12
    async with fresh(crew) as http:
        for number in range(rounds):
            subject = f"returning-{number}"
            headers = {"Authorization": f"Bearer {await token_for(http, subject)}"}
            client = await connect(f"{crew.ws_url}/realtime", additional_headers=headers)
            session_id = json.loads(await client.recv())["sessionId"]
            created = json.loads(await client.recv())
            await client.send(update)
            missed = json.loads(await client.recv())
            for last in (created["event_id"], missed["event_id"]):
                client.transport.abort()
                headers = {"Authorization": f"Bearer {await token_for(http, subject)}"}
                query = f"resume={session_id}&last_event_id={last}"
                client = await connect(f"{crew.ws_url}/realtime?{query}", additional_headers=headers)
                back = json.loads(await client.recv())
                assert (back["resumed"], back["sessionId"], back["received"]) == (True, session_id, 1)
            await client.send(update)
            assert json.loads(await client.recv())["type"] == "session.updated"
            await client.close()
