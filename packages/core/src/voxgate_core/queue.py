"""The durable queue port: lanes of jobs, each worked at least once, and the letters nobody could deliver."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Claim", "DeadLetter", "DeadQuery", "DurableQueue", "Handler", "LaneWorker"]

DEAD_PAGE = 100
"""Dead letters one look-up returns unless it asks for another number."""

STOP_SECONDS = 10.0
"""How long a worker that is stopped lets its handlers finish before it cancels them."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job nobody will try again by itself. Times are epoch seconds; ``ref`` is the store's own handle."""

    lane: str
    id: str
    body: bytes
    reason: str
    attempts: int
    accepted_at: float
    died_at: float
    ref: str = ""


@dataclass(frozen=True, slots=True)
class DeadQuery:
    """Which dead letters: every condition that is given must hold. ``since`` is epoch seconds of the death.

    ``after`` is the ``ref`` of the last letter of the page before.
    """

    lane: str | None = None
    id: str | None = None
    since: float | None = None
    after: str | None = None
    limit: int = DEAD_PAGE


class Claim(Protocol):
    """One job in hand. A claim that is neither acknowledged nor extended in time is given out again."""

    @property
    def lane(self) -> str: ...

    @property
    def body(self) -> bytes: ...

    @property
    def deliveries(self) -> int:
        """How often this job was given out, this time included; 1 for the first."""
        ...

    async def ack(self) -> None:
        """It is done. When that gets lost on the way the job is worked again."""
        ...

    async def hand_back(self, delay: float = 0.0) -> None:
        """Give it out again after ``delay`` seconds. It keeps its place: a lane of one waits for it."""
        ...

    async def extend(self) -> None:
        """It is still being worked on."""
        ...


Handler = Callable[[Claim], Awaitable[None]]
"""Works one claim. What it raises is logged, and the job is handed back."""


class LaneWorker(Protocol):
    """Hands the jobs of one lane to a handler."""

    def set_slots(self, slots: int) -> None:
        """How many jobs may be in hand from here; 0 pauses. What is in hand already is not taken away."""
        ...

    @property
    def in_hand(self) -> int: ...

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Take no more, let handlers finish for ``seconds``, then cancel them and hand their jobs back."""
        ...


class DurableQueue(Protocol):
    """Lanes of jobs that survive the process. Lane names and ids are letters, digits, ``-`` and ``_``.

    Every method raises :class:`VoxgateError` ``unavailable`` when the store can't be reached or refuses, and
    ``ValueError`` for a name or a moment that can't be one. ``put`` and ``bury`` raise ``body_too_large`` for a body
    that the store does not take.
    """

    async def open_lane(self, lane: str, *, in_hand: int, lease: float) -> None:
        """Make the lane, or change it: ``in_hand`` jobs at most are out at a time, over all workers everywhere.

        ``lease`` is how many seconds a claim is its holder's without a sign of life.
        """
        ...

    async def lanes(self) -> frozenset[str]:
        """The names of the lanes that are open, whoever opened them."""
        ...

    async def close_lane(self, lane: str) -> None:
        """Remove the lane and every job in it. No error when there is none."""
        ...

    async def put(self, lane: str, body: bytes, *, id: str | None = None, at: float | None = None) -> None:
        """Return once the job is durable. ``at`` keeps it back until that moment (epoch seconds).

        A second job with the same ``id`` in the same lane, soon after, is swallowed; later on it takes the place of
        one that is still kept back.
        """
        ...

    async def work(self, lane: str, handler: Handler, *, slots: int) -> LaneWorker:
        """Begin to hand the lane's jobs to ``handler``, ``slots`` at a time. The lane must be open."""
        ...

    async def backlog(self) -> Mapping[str, int]:
        """Jobs of each lane that are not done: waiting, kept back, and in hand."""
        ...

    async def bytes_stored(self) -> int:
        """Bytes of every job that is not done."""
        ...

    async def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter durably."""
        ...

    async def dead(self, query: DeadQuery) -> Sequence[DeadLetter]:
        """Dead letters, oldest first."""
        ...

    async def forget(self, letter: DeadLetter) -> None:
        """Remove a dead letter found by :meth:`dead`; no error when it is gone."""
        ...
