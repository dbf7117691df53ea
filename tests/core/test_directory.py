"""The port itself, by the smallest directory there can be."""

from dataclasses import FrozenInstanceError

import pytest

from voxgate_core import Place, SessionDirectory

HERE = Place("node-1", "http://10.0.0.1:8080")


class SoleNode:
    """A directory of one node that never goes."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()

    async def announce(self, session_id: str) -> None:
        self.sessions.add(session_id)

    async def withdraw(self, session_id: str) -> None:
        self.sessions.discard(session_id)

    async def find(self, session_id: str) -> Place | None:
        return HERE if session_id in self.sessions else None

    async def nodes(self) -> tuple[Place, ...]:
        return (HERE,)


async def test_an_adapter_fits_the_port() -> None:
    directory: SessionDirectory = SoleNode()
    await directory.announce("sess")
    assert await directory.find("sess") == HERE
    await directory.withdraw("sess")
    assert await directory.find("sess") is None
    assert await directory.nodes() == (HERE,)


def test_a_place_does_not_change_and_is_known_by_what_it_says() -> None:
    assert Place("node-1", "http://10.0.0.1:8080") == HERE
    assert len({HERE, Place("node-1", "http://10.0.0.1:8080"), Place("node-2", HERE.url)}) == 2
    with pytest.raises(FrozenInstanceError):
        HERE.url = ""  # type: ignore[misc]
