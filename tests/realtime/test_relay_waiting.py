"""A session whose client was cut off waits for it, within bounds."""

import asyncio
from dataclasses import replace

import pytest

from tests.realtime.peers import LIMITS, only_relay, refusal
from tests.realtime.resuming import drop, event_of, hear, speak, world
from voxgate_core import Leash


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


async def test_of_too_many_that_wait_the_longest_waiting_is_ended() -> None:
    async with world(replace(LIMITS, max_detached=1)) as w:
        for number in (1, 2):
            async with w.client(f"ada-{number}") as client:
                await event_of(client)
                await drop(client, w.gw)
        assert w.gw.realtime.sessions.detached == 1
        assert [(s.session_id, s.code) for s in w.gw.observer.summaries] == [("sess-1", 1013)]


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
