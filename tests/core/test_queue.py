"""The port itself: what a look-up asks for when it is not told, and that adapters can be written for it."""

from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, replace

import pytest

from voxgate_core import Claim, DeadLetter, DeadQuery, DurableQueue, Handler, LaneWorker
from voxgate_core.queue import DEAD_PAGE, STOP_SECONDS

LETTER = DeadLetter("lane", "evt-1", b"body", "HTTP 500", 7, accepted_at=1.0, died_at=2.0)


class HeldClaim:
    def __init__(self, lane: str, body: bytes) -> None:
        self.lane = lane
        self.body = body
        self.deliveries = 1
        self.words: list[str] = []

    async def ack(self) -> None:
        self.words.append("ack")

    async def hand_back(self, delay: float = 0.0) -> None:
        self.words.append(f"hand back in {delay:g}")

    async def extend(self) -> None:
        self.words.append("extend")


class IdleWorker:
    in_hand = 0

    def set_slots(self, slots: int) -> None:
        self.slots = slots

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        self.stopped_within = seconds


class StraightQueue:
    """Hands each job to the lane's handler as it is put."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.letters: list[DeadLetter] = []
        self.claims: list[HeldClaim] = []

    async def open_lane(self, lane: str, *, in_hand: int, lease: float) -> None: ...

    async def lanes(self) -> frozenset[str]:
        return frozenset(self.handlers)

    async def close_lane(self, lane: str) -> None:
        self.handlers.pop(lane, None)

    async def put(self, lane: str, body: bytes, *, id: str | None = None, at: float | None = None) -> None:
        self.claims.append(HeldClaim(lane, body))
        await self.handlers[lane](self.claims[-1])

    async def work(self, lane: str, handler: Handler, *, slots: int) -> LaneWorker:
        self.handlers[lane] = handler
        return IdleWorker()

    async def backlog(self) -> Mapping[str, int]:
        return {}

    async def bytes_stored(self) -> int:
        return 0

    async def bury(self, letter: DeadLetter) -> None:
        self.letters.append(replace(letter, ref=str(len(self.letters))))

    async def dead(self, query: DeadQuery) -> Sequence[DeadLetter]:
        return self.letters[: query.limit]

    async def forget(self, letter: DeadLetter) -> None:
        self.letters.remove(letter)


async def test_an_adapter_fits_the_port() -> None:
    straight = StraightQueue()
    queue: DurableQueue = straight
    given: list[Claim] = []

    async def handler(claim: Claim) -> None:
        given.append(claim)
        await claim.extend()
        await (claim.ack() if claim.deliveries > 1 else claim.hand_back())

    await queue.open_lane("lane", in_hand=1, lease=30)
    worker = await queue.work("lane", handler, slots=1)
    await queue.put("lane", b"body")
    assert [(claim.lane, claim.body) for claim in given] == [("lane", b"body")]
    assert straight.claims[0].words == ["extend", "hand back in 0"]
    assert worker.in_hand == 0
    assert await queue.lanes() == {"lane"}
    assert await queue.backlog() == {}
    assert await queue.bytes_stored() == 0
    await worker.stop()
    await queue.bury(LETTER)
    (letter,) = await queue.dead(DeadQuery())
    assert replace(letter, ref="") == LETTER
    await queue.forget(letter)
    assert await queue.dead(DeadQuery()) == []
    await queue.close_lane("lane")
    assert await queue.lanes() == frozenset()


def test_a_look_up_of_dead_letters_asks_for_one_page_of_all() -> None:
    assert DeadQuery() == DeadQuery(lane=None, id=None, since=None, after=None, limit=DEAD_PAGE)


def test_a_letter_has_no_place_before_it_is_buried() -> None:
    assert LETTER.ref == ""


def test_letters_and_look_ups_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        LETTER.ref = "1"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        DeadQuery().limit = 1  # type: ignore[misc]
