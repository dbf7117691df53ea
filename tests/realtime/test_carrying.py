"""A client that comes back to another process than before is carried to its session, and nothing is told twice."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import pytest

from tests.realtime.peers import LIMITS, Gateway, closed_with, gateway, model_server, only_relay, refusal
from tests.realtime.resuming import ManyTokens, Model, World, drop, event_of, hear, speak, world
from voxgate_core import Grant, Leash
from voxgate_realtime import CARRIED, Far, RelayLimits, Resume, State
from voxgate_realtime.carrying import carried_code, nowhere


class To:
    """A finder that leads to one other gateway, with a token of the same subject."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.numbers = itertools.count(100)
        self.asked: list[str] = []

    async def __call__(self, asked: Resume, grant: Grant) -> Far | None:
        self.asked.append(asked.session_id)
        query = urlencode({"resume": asked.session_id, "last_event_id": asked.last_event_id or ""})
        token = f"{grant.subject}-{next(self.numbers)}"
        headers = (("Authorization", f"Bearer {token}"), (CARRIED, "1"))
        return Far(f"ws://127.0.0.1:{self.port}/realtime?{query}", headers)


@dataclass
class Two:
    """``home`` holds the session of a client that was cut off; ``away`` is where it comes back to."""

    home: World
    away: World
    finder: To


@contextlib.asynccontextmanager
async def two(limits: RelayLimits = LIMITS, leash: Leash | None = None) -> AsyncIterator[Two]:
    async with world(limits, leash) as home, model_server(Model().serve) as own_model:
        finder = To(home.gw.port)
        async with gateway(own_model, limits=limits, verifier=ManyTokens(), elsewhere=finder) as away:
            async with home.client("ada-1") as client:
                await event_of(client)
                await home.model.say(2)
                assert await hear(client, 1) == [1]
                await hear(client, 1)
                await drop(client, home.gw)
            yield Two(home, World(away, home.model), finder)


async def until_detached(gw: Gateway) -> None:
    while gw.realtime.sessions.detached != 1:
        await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)


async def test_a_session_is_resumed_by_way_of_another_process() -> None:
    async with two() as t:
        async with t.away.client("ada-2", "sess-1", "event_1") as client:
            opened = await event_of(client)
            assert (opened["resumed"], opened["sessionId"], opened["received"]) == (True, "sess-1", 0)
            assert await hear(client, 1) == [2]
            await speak(client, "c1")
            await t.home.model.until_heard(1)
            await t.home.model.say()
            assert await hear(client, 1) == [3]
            assert only_relay(t.away.gw).carries
            # Each message is counted where its session is, and there alone.
            assert t.away.gw.realtime.traffic() == {"client": (0, 0), "upstream": (0, 0)}
            assert t.home.gw.realtime.traffic()["client"][0] == 1
        await t.home.gw.observer.any_closed.wait()
        assert t.home.gw.observer.summaries[0].client_messages == 1
        assert t.home.gw.observer.resumes == [("sess-1", "resumed")]
        assert not t.away.gw.observer.opened_grants
        assert not t.away.gw.observer.summaries
        assert t.finder.asked == ["sess-1"]


async def test_a_carried_client_that_is_cut_off_is_waited_for_again() -> None:
    async with two() as t:
        async with t.away.client("ada-2", "sess-1", "event_2") as client:
            await event_of(client)
            client.transport.abort()
            await until_detached(t.home.gw)
        async with t.home.client("ada-3", "sess-1", "event_2") as again:
            assert (await event_of(again))["resumed"] is True


async def test_a_process_that_stops_does_not_end_the_sessions_that_it_carries() -> None:
    async with two() as t:
        async with t.away.client("ada-2", "sess-1", "event_2") as client:
            await event_of(client)
            stopping = asyncio.create_task(t.away.gw.server.shutdown(sockets=[]))
            assert await refusal(client) == ("draining", 1012)
            await stopping
        await until_detached(t.home.gw)


async def test_the_way_a_carried_session_ends_is_told_as_it_is() -> None:
    async with two(leash=Leash(seconds=1)) as t, t.away.client("ada-2", "sess-1", "event_2") as client:
        await event_of(client)
        assert await refusal(client) == ("quota_exceeded", 4029)
        assert client.close_reason == "the session's time is used up"


async def test_a_client_that_says_goodbye_ends_its_session_from_afar() -> None:
    async with two() as t:
        async with t.away.client("ada-2", "sess-1", "event_2") as client:
            await event_of(client)
            await client.close(1000)
        await t.home.gw.observer.any_closed.wait()
        assert t.home.gw.observer.summaries[0].code == 1000


async def test_what_the_other_process_can_not_resume_it_opens_anew() -> None:
    async with two() as t, t.away.client("eve-2", "sess-1", "event_2") as client:
        opened = await event_of(client)
        assert (opened["resumed"], opened["sessionId"]) == (False, "sess-100")
        assert t.home.gw.observer.resumes == [("sess-100", "unknown")]


async def test_a_process_that_is_gone_is_not_waited_for() -> None:
    async with two() as t:
        t.finder.port = 9
        async with t.away.client("ada-2", "sess-1", "event_2") as client:
            opened = await event_of(client)
            assert (opened["resumed"], opened["sessionId"]) == (False, "sess-2")
            relay = only_relay(t.away.gw)
            while relay.session.state is not State.OPEN:
                await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.01)
            assert not relay.carries
        await t.away.gw.observer.any_closed.wait()
        assert [grant.session_id for grant in t.away.gw.observer.opened_grants] == ["sess-2"]
        assert t.away.gw.observer.resumes == [("sess-2", "unknown")]


async def test_a_session_that_ends_while_the_other_process_is_dialled_is_not_announced() -> None:
    dialled, let_go = asyncio.Event(), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.set()
        await let_go.wait()
        writer.close()

    async with two() as t, await asyncio.start_server(hold, "127.0.0.1", 0) as slow:
        t.finder.port = slow.sockets[0].getsockname()[1]
        async with t.away.client("ada-2", "sess-1", "event_2") as client:
            await dialled.wait()
            assert t.away.gw.realtime.revoke(lambda grant: grant.subject == "ada") == 1
            let_go.set()
            assert await refusal(client) == ("token_revoked", 4003)
        assert not t.away.gw.observer.opened_grants


async def test_who_was_carried_here_is_carried_no_further() -> None:
    async with two() as t:
        headers = {"Authorization": "Bearer ada-2", CARRIED: "1"}
        async with t.away.gw.client("/realtime?resume=sess-9", token=None, additional_headers=headers) as client:
            assert json.loads(await client.recv())["resumed"] is False
        assert t.finder.asked == []


async def test_a_revocation_ends_the_way_there_and_the_session() -> None:
    async with two() as t:
        async with t.away.client("ada-2", "sess-1", "event_2") as client:
            await event_of(client)
            for gw in (t.away.gw, t.home.gw):
                assert gw.realtime.revoke(lambda grant: grant.subject == "ada") == 1
            assert await refusal(client) == ("token_revoked", 4003)
        await t.home.gw.observer.any_closed.wait()
        assert t.home.gw.observer.summaries[0].code == 4003


async def test_the_other_process_breaking_off_is_a_failure_that_passes() -> None:
    async with two() as t, t.away.client("ada-2", "sess-1", "event_2") as client:
        await event_of(client)
        [held] = t.home.gw.realtime.sessions
        assert held.client.transport is not None
        held.client.transport.disconnect(False)
        assert (await closed_with(client))[0] == 1011


async def test_a_process_without_others_finds_nothing() -> None:
    grant = Grant("ada", "s", "j", None, frozenset(), 0, 1)
    assert await nowhere(Resume("sess-1", None), replace(grant)) is None


@pytest.mark.parametrize(("code", "seen"), [(1000, 1000), (1012, 1012), (4003, 4003), (1005, 1011), (0, 1011)])
def test_codes_that_can_not_be_sent_become_a_failure(code: int, seen: int) -> None:
    assert carried_code(code) == seen


def test_a_credential_is_in_no_repr() -> None:
    assert "secret" not in repr(Far("ws://h/", (("Authorization", "Bearer secret"),)))
