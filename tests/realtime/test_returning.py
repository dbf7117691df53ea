"""A client whose network dropped gets its session back whole, or is told that it does not."""

import asyncio
import contextlib
import gc
import json
import weakref
from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosed

from tests.realtime.peers import LIMITS, ORIGIN, closed_with, only_relay, refusal
from tests.realtime.resuming import drop, event_of, hear, speak, world
from voxgate_realtime import State


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


async def test_those_who_wait_take_no_room_from_those_who_come() -> None:
    async with world(replace(LIMITS, max_sessions=1)) as w:
        async with w.client("ada-1") as client:
            await event_of(client)
            await drop(client, w.gw)
        async with w.client("ada-2", "sess-1") as again:
            assert (await event_of(again))["resumed"] is True


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
