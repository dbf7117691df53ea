import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from tests.gateway.rig import end_of, grant_of
from voxgate_core import Place, VoxgateError
from voxgate_gateway.session_places import MAX_BEHIND, SessionPlaces


class Told:
    """A ``SessionDirectory`` that queues up what it is told, and fails with what ``fails`` holds for a session."""

    def __init__(self) -> None:
        self.words: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.fails: dict[str, Exception] = {}

    async def announce(self, session_id: str) -> None:
        await self._hear("here", session_id)

    async def withdraw(self, session_id: str) -> None:
        await self._hear("gone", session_id)

    async def find(self, session_id: str) -> Place | None:
        return None

    async def nodes(self) -> tuple[Place, ...]:
        return ()

    async def _hear(self, what: str, session_id: str) -> None:
        if session_id in self.fails:
            raise self.fails[session_id]
        self.words.put_nowait((what, session_id))


@contextlib.asynccontextmanager
async def talking(places: SessionPlaces) -> AsyncIterator[None]:
    task = asyncio.create_task(places.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_directory_hears_of_sessions_in_their_order() -> None:
    told = Told()
    places = SessionPlaces(told)
    async with talking(places):
        places.opened(grant_of("a"))
        places.opened(grant_of("b"))
        places.closed(end_of("a"))
        assert [await told.words.get() for _ in range(3)] == [("here", "a"), ("here", "b"), ("gone", "a")]
        places.closed(end_of("b"))
        assert await told.words.get() == ("gone", "b")


async def test_a_refused_socket_is_nobodys_session() -> None:
    told = Told()
    places = SessionPlaces(told)
    places.refused(VoxgateError("credential_missing"))
    async with talking(places):
        places.opened(grant_of("a"))
        assert await told.words.get() == ("here", "a")


@pytest.mark.parametrize("error", [VoxgateError("unavailable"), ValueError("no key can be made of it")])
async def test_a_word_that_is_refused_is_logged_and_the_next_is_passed_on(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    told.fails["a"] = error
    places = SessionPlaces(told)
    with caplog.at_level(logging.WARNING, "voxgate.gateway"):
        async with talking(places):
            places.opened(grant_of("a"))
            places.opened(grant_of("b"))
            assert await told.words.get() == ("here", "b")
    assert len(caplog.records) == 1


async def test_a_directory_that_does_not_keep_up_costs_bounded_memory() -> None:
    told = Told()
    places = SessionPlaces(told)
    for number in range(MAX_BEHIND + 10):
        places.opened(grant_of(f"s{number}"))
    async with talking(places):
        heard = [await told.words.get() for _ in range(MAX_BEHIND)]
        assert heard[-1] == ("here", f"s{MAX_BEHIND - 1}")
        places.closed(end_of("s0"))
        assert await told.words.get() == ("gone", "s0")
