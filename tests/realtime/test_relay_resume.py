"""A client whose network dropped gets its session back whole, or is told that it does not. Real sockets throughout."""

import asyncio
import contextlib
import gc
import json
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.realtime.peers import (
    LIMITS,
    ORIGIN,
    Gateway,
    OneToken,
    closed_with,
    gateway,
    model_server,
    only_relay,
    refusal,
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


async def test_a_dropped_client_gets_its_session_back_and_misses_nothing() -> None:
    async with world() as w:
        async with w.client("ada-1") as client:
            assert (await event_of(client))["resumed"] is False
            await speak(client, "c1", "c2", "c3")
            await w.model.until_heard(3)
            await w.model.say(5)
            assert await hear(client, 3) == [1, 2, 3]
            await drop(client, w.gw)
        assert only_relay(w.gw).session.state is State.DETACHED
        await w.model.say(4)
        async with w.client("ada-2", "sess-1", "event_3") as again:
            assert await event_of(again) == {
                "type": "auth_success", "sessionId": "sess-1", "resumed": True,
                "expiresAt": 1_900_000_000, "received": 3,
            }  # fmt: skip
            assert await hear(again, 6) == [4, 5, 6, 7, 8, 9]
            await speak(again, "c4")
            await w.model.until_heard(4)
            await w.model.say()
            assert await hear(again, 1) == [10]
        await w.gw.observer.any_closed.wait()
        assert w.model.heard == ["c1", "c2", "c3", "c4"]
        assert len(w.model.connections) == 1
        [summary] = w.gw.observer.summaries
        assert (summary.session_id, summary.client_messages, summary.upstream_messages) == ("sess-1", 4, 10)
        assert [grant.session_id for grant in w.gw.observer.opened_grants] == ["sess-1"]
        assert w.gw.observer.resumes == [("sess-1", "resumed")]


async def test_it_may_come_back_again_and_again() -> None:
    async with world() as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await w.model.say()
            await hear(client, 1)
            await drop(client, w.gw)
        for turn in range(2, 6):
            async with w.client(f"ada-{turn}", "sess-1", f"event_{turn - 1}") as client:
                assert (await event_of(client))["resumed"] is True
                await w.model.say()
                assert await hear(client, 1) == [turn]
                await drop(client, w.gw)
        assert w.gw.realtime.sessions.detached == 1


async def test_a_client_that_saw_nothing_gets_everything() -> None:
    async with world() as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await speak(client, "c1")
            await w.model.until_heard(1)
            await drop(client, w.gw)
        await w.model.say(2)
        async with w.client("ada-2", "sess-1") as again:
            assert (await event_of(again))["received"] == 1
            assert await hear(again, 2) == [1, 2]


async def test_the_credential_of_a_client_that_comes_back_may_be_its_first_message() -> None:
    async with world() as w:
        async with w.client("ada-1", origin=ORIGIN) as client:
            await event_of(client)
            await w.model.say()
            await hear(client, 1)
            await drop(client, w.gw)
        async with w.gw.client("/realtime?resume=sess-1&last_event_id=event_1", token=None, origin=ORIGIN) as again:
            await again.send(json.dumps({"type": "auth", "token": "ada-2"}))
            assert (await event_of(again))["resumed"] is True
            await speak(again, "c1")
            await w.model.until_heard(1)


@pytest.mark.parametrize(
    ("token", "origin", "resume"),
    [("eve-2", ORIGIN, "sess-1"), ("ada-2", None, "sess-1"), ("ada-2", ORIGIN, "sess-9"), ("ada-2", ORIGIN, "sess-2")],
    ids=["another subject", "another origin", "no such session", "its own, which is none yet"],
)
async def test_nobody_gets_what_is_not_theirs(token: str, origin: str | None, resume: str) -> None:
    async with world() as w:
        async with w.client("ada-1", origin=ORIGIN) as client:
            await event_of(client)
            await w.model.say()
            await hear(client, 1)
            await drop(client, w.gw)
        async with w.client(token, resume, "event_1", origin=origin) as other:
            opened = await event_of(other)
            assert (opened["resumed"], opened["received"], opened["sessionId"]) == (False, 0, "sess-2")
            assert w.gw.observer.resumes == [("sess-2", "unknown")]
            assert w.gw.realtime.sessions.detached == 1
        async with w.client("ada-3", "sess-1", "event_1", origin=ORIGIN) as again:
            assert (await event_of(again))["resumed"] is True


async def test_what_can_not_be_replayed_whole_is_not_resumed_and_is_over() -> None:
    async with world(replace(LIMITS, resume_messages=2)) as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await w.model.say(4)
            assert await hear(client, 1) == [1]
            await hear(client, 3)
            await drop(client, w.gw)
        async with w.client("ada-2", "sess-1", "event_1") as again:
            opened = await event_of(again)
            assert (opened["resumed"], opened["sessionId"]) == (False, "sess-2")
        assert w.gw.observer.resumes == [("sess-1", "incomplete")]
        assert w.gw.observer.summaries[0].reason == "what the client missed is not held any more"
        assert w.model.connections[0].close_code == 1001


async def test_a_client_that_stays_away_ends_its_session() -> None:
    async with world(replace(LIMITS, resume_grace=0.05)) as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await drop(client, w.gw)
        await w.gw.observer.any_closed.wait()
        [summary] = w.gw.observer.summaries
        assert (summary.code, summary.reason) == (1006, "the client did not come back")
        assert (await w.model.until_closed())[0] == 1001
        assert len(w.gw.realtime.sessions) == 0
        async with w.client("ada-2", "sess-1") as again:
            assert (await event_of(again))["resumed"] is False


async def test_a_client_that_said_goodbye_is_not_waited_for() -> None:
    async with world() as w:
        async with w.client("ada-1") as client:
            await event_of(client)
        await w.gw.observer.any_closed.wait()
        assert w.gw.observer.detached_grants == []
        async with w.client("ada-2", "sess-1") as again:
            assert (await event_of(again))["resumed"] is False


async def test_an_openai_client_is_not_waited_for() -> None:
    async with world() as w:
        async with w.gw.client("/v1/realtime", token="ada-1") as client:
            await w.model.say()
            await client.recv()
            client.transport.abort()
            await w.gw.observer.any_closed.wait()
        assert w.gw.observer.detached_grants == []


async def test_a_client_may_come_back_before_its_old_connection_is_known_to_be_dead() -> None:
    async with world() as w, w.client("ada-1") as old:
        await event_of(old)
        await w.model.say(2)
        await hear(old, 1)
        async with w.client("ada-2", "sess-1", "event_1") as new:
            assert (await event_of(new))["resumed"] is True
            assert await hear(new, 1) == [2]
            assert await closed_with(old) == (1000, "the session was resumed on another connection")
            with contextlib.suppress(ConnectionClosed):
                await speak(old, "stale")
            await speak(new, "c1")
            await w.model.until_heard(1)
            await w.model.say()
            assert await hear(new, 1) == [3]
        await w.gw.observer.any_closed.wait()
        assert w.model.heard == ["c1"]
        assert [summary.client_messages for summary in w.gw.observer.summaries] == [1]
        while len(w.gw.realtime.sessions):
            await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)


async def test_what_the_model_says_while_the_client_is_away_is_bounded_and_not_lost() -> None:
    limits = replace(LIMITS, resume_bytes=256 * 1024, receive_buffer=32 * 1024)
    async with world(limits) as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await w.model.say()
            await hear(client, 1)
            await drop(client, w.gw)
        flood = asyncio.create_task(w.model.say(2000, padding=16 * 1024))
        relay = only_relay(w.gw)
        assert relay.ring is not None
        while relay.ring.unseen < limits.resume_bytes // 2:
            await asyncio.wait([flood], timeout=0.01)
        seen = -1
        while seen != relay.ring.unseen:  # until it has stopped growing
            seen = relay.ring.unseen
            await asyncio.wait([flood], timeout=0.2)
        assert seen < limits.resume_bytes
        assert not flood.done()
        async with w.client("ada-2", "sess-1", "event_1") as again:
            assert (await event_of(again))["resumed"] is True
            assert await hear(again, 2000) == list(range(2, 2002))
        await flood


async def test_a_session_that_waits_is_ended_by_a_revocation() -> None:
    async with world() as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await drop(client, w.gw)
        assert w.gw.realtime.revoke(lambda grant: grant.token_id == "jti-1") == 1
        assert (w.gw.observer.summaries[0].code, len(w.gw.realtime.sessions)) == (4003, 0)


@pytest.mark.parametrize("token_id", ["jti-1", "jti-2"])
async def test_a_session_is_ended_by_a_revocation_of_any_token_behind_it(token_id: str) -> None:
    async with world() as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await drop(client, w.gw)
        async with w.client("ada-2", "sess-1") as again:
            await event_of(again)
            assert w.gw.realtime.revoke(lambda grant: grant.token_id == token_id) == 1
            assert await refusal(again) == ("token_revoked", 4003)


async def test_a_session_that_waits_ends_with_its_model_server() -> None:
    async with world() as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await drop(client, w.gw)
        await w.model.connections[0].close(1011)
        await w.gw.observer.any_closed.wait()
        assert (w.gw.observer.summaries[0].code, len(w.gw.realtime.sessions)) == (1011, 0)


async def test_a_drain_ends_sessions_that_wait_and_lets_no_other_wait() -> None:
    async with world() as w, w.client("ada-2") as stays:
        await event_of(stays)
        async with w.client("ada-1") as client:
            await event_of(client)
            await drop(client, w.gw)
        w.gw.realtime.drain()
        assert [summary.code for summary in w.gw.observer.summaries] == [1012]
        w.gw.observer.any_closed.clear()
        stays.transport.abort()
        await w.gw.observer.any_closed.wait()
        assert [grant.session_id for grant in w.gw.observer.detached_grants] == ["sess-1"]


async def test_a_graceful_stop_closes_a_client_that_came_back_with_1012() -> None:
    async with world() as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await drop(client, w.gw)
        async with w.client("ada-2", "sess-1") as again:
            await event_of(again)
            stopping = asyncio.create_task(w.gw.server.shutdown(sockets=[]))
            assert await refusal(again) == ("draining", 1012)
            await stopping


async def test_of_too_many_that_wait_the_longest_waiting_is_ended() -> None:
    async with world(replace(LIMITS, max_detached=1)) as w:
        for number in (1, 2):
            async with w.client(f"ada-{number}") as client:
                await event_of(client)
                await drop(client, w.gw)
        assert w.gw.realtime.sessions.detached == 1
        assert [(s.session_id, s.code) for s in w.gw.observer.summaries] == [("sess-1", 1013)]


async def test_those_who_wait_take_no_room_from_those_who_come() -> None:
    async with world(replace(LIMITS, max_sessions=1)) as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await drop(client, w.gw)
        async with w.client("ada-2", "sess-1") as again:
            assert (await event_of(again))["resumed"] is True


async def test_the_leash_runs_on_while_the_client_is_away() -> None:
    async with world(leash=Leash(seconds=1)) as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await drop(client, w.gw)
        async with w.client("ada-2", "sess-1") as again:
            assert (await event_of(again))["resumed"] is True
            assert await refusal(again) == ("quota_exceeded", 4029)
        [summary] = w.gw.observer.summaries
        assert 0.9 < summary.seconds < 2


@pytest.mark.parametrize("ends", ["silent", "stalled"])
async def test_a_connection_that_died_unseen_is_given_up_and_its_session_waits(ends: str) -> None:
    limits = replace(LIMITS, ping_interval=0.1 if ends == "silent" else 20, stall_timeout=0.1)
    async with world(limits) as w:
        async with w.client("ada-1", ping_interval=None, close_timeout=0.1, max_queue=1) as client:
            await event_of(client)
            await w.model.say()
            await hear(client, 1)
            if ends == "silent":
                client.transport.pause_reading()
            saying = asyncio.create_task(w.model.say(400 if ends == "stalled" else 0, padding=64 * 1024))
            await w.gw.observer.any_detached.wait()
            saying.cancel()
        assert w.gw.realtime.sessions.detached == 1


async def test_a_session_that_was_resumed_leaves_its_memory_without_the_garbage_collector() -> None:
    async with world() as w:
        gc.collect()
        gc.disable()
        try:
            async with w.client("ada-1") as client:
                await event_of(client)
                first = weakref.ref(only_relay(w.gw))
                sides = weakref.ref(only_relay(w.gw).client), weakref.ref(only_relay(w.gw).upstream)
                await drop(client, w.gw)
            async with w.client("ada-2", "sess-1") as again:
                await event_of(again)
                await w.model.say()
                await hear(again, 1)
                budget = w.gw.realtime.context.replay_budget
                assert budget.left < LIMITS.resume_total_bytes
                second = weakref.ref(only_relay(w.gw).client)
            await w.gw.observer.any_closed.wait()
            while any(each() is not None for each in (first, *sides, second)):
                await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)
            assert budget.left == LIMITS.resume_total_bytes
        finally:
            gc.enable()


async def test_one_token_opens_no_more_sessions_than_it_may() -> None:
    async with world(replace(LIMITS, max_sessions_per_token=1)) as w:
        async with w.gw.client("/v1/realtime", token="ada-1"):
            async with w.gw.client("/v1/realtime", token="ada-1") as second:
                assert await refusal(second) == ("quota_exceeded", 4029)
            async with w.gw.client("/v1/realtime", token="ada-2") as other:
                await speak(other, "c1")
                await w.model.until_heard(1)
        while len(w.gw.realtime.sessions):
            await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)
        async with w.gw.client("/v1/realtime", token="ada-1") as third:
            await speak(third, "c2")
            await w.model.until_heard(2)
        first, _, last = (grant.session_id for grant in w.gw.observer.opened_grants)
        assert first.partition(".")[0] == last.partition(".")[0] == "sess-1"
        assert first != last
