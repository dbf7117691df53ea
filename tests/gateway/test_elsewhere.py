import asyncio
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.gateway.rig import SECRET
from voxgate_core import Environment, Grant, Leash, ManualClock, MemoryKeyValue, Place, VoxgateError
from voxgate_gateway.elsewhere import Elsewhere, machine, node_id
from voxgate_realtime import CARRIED, Far, Resume
from voxgate_security import TokenIssuer, Verifier, load_keyring

NOW = 1_790_000_000
ORIGIN = "https://app.example.com"
GRANT = Grant("ada", "sess_2", "jti", ORIGIN, frozenset({"realtime"}), NOW, NOW + 120, Leash(seconds=60))
HERE, THERE = node_id("0001"), node_id("0002")


class Known:
    """A directory that knows one session, or can't be asked."""

    def __init__(self, place: Place | None, *, fails: bool = False, hangs: bool = False) -> None:
        self.place = place
        self.fails = fails
        self.hangs = hangs

    async def announce(self, session_id: str) -> None:
        raise NotImplementedError

    async def withdraw(self, session_id: str) -> None:
        raise NotImplementedError

    async def find(self, session_id: str) -> Place | None:
        if self.fails:
            raise VoxgateError("unavailable")
        if self.hangs:
            await asyncio.Event().wait()
        return self.place if session_id == "sess_1" else None

    async def nodes(self) -> tuple[Place, ...]:
        raise NotImplementedError


async def found(directory: Known, last_event_id: str | None = "event_7") -> Far | None:
    clock = ManualClock(NOW)
    issuer = TokenIssuer(load_keyring(SECRET), clock, Environment.PREVIEW)
    return await Elsewhere(directory, HERE, issuer, clock)(Resume("sess_1", last_event_id), GRANT)


async def test_another_worker_is_dialled_with_a_token_of_the_same_client() -> None:
    far = await found(Known(Place(THERE, "http://127.0.0.1:4711")))
    assert far is not None
    parts = urlsplit(far.url)
    assert (parts.scheme, parts.netloc, parts.path) == ("ws", "127.0.0.1:4711", "/realtime")
    assert parse_qs(parts.query) == {"resume": ["sess_1"], "last_event_id": ["event_7"]}
    headers = dict(far.headers)
    assert (headers[CARRIED], headers["Origin"]) == ("1", ORIGIN)
    clock = ManualClock(NOW)
    verifier = Verifier(load_keyring(SECRET), clock, Environment.PREVIEW, MemoryKeyValue(clock))
    token = headers["Authorization"].removeprefix("Bearer ")
    grant = await verifier.verify(token, origin=ORIGIN, single_use=True)
    assert (grant.subject, grant.scope, grant.leash, grant.expires_at) == ("ada", GRANT.scope, GRANT.leash, NOW + 120)
    assert token not in repr(far)


@pytest.mark.parametrize(
    "directory",
    [
        Known(None),
        Known(Place(HERE, "http://127.0.0.1:4711")),
        Known(Place("0123456789abcdef-0002", "http://127.0.0.1:4711")),
        Known(Place(THERE, "http://127.0.0.1:4711"), fails=True),
    ],
    ids=["nobody", "this one", "another machine", "no directory"],
)
async def test_nobody_else_is_dialled(directory: Known) -> None:
    assert await found(directory) is None


async def test_a_client_without_an_event_asks_for_none() -> None:
    far = await found(Known(Place(THERE, "http://[::1]:4711")), None)
    assert far is not None
    assert far.url == "ws://[::1]:4711/realtime?resume=sess_1"


async def test_a_directory_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxgate_gateway.elsewhere.FIND_SECONDS", 0.01)
    assert await found(Known(None, hangs=True)) is None


def test_processes_of_one_machine_know_each_other() -> None:
    assert machine() == machine()
    assert re.fullmatch(r"[0-9a-f]{16}-0001", HERE)
