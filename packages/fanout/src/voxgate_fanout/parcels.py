"""What an outbox holds: parcels, which are one event for one target out of a record, and turns, of an ordered lane."""

import asyncio

from voxgate_fanout.outcome import Outcome
from voxgate_fanout.records import Item

__all__ = ["Parcel", "Receipt", "Turn"]


class Receipt:
    """Counts the parcels of one record, ``parcels`` in all; the record may be acknowledged once all are settled.

    They are counted before the first is sent off: a target that answers at once must not settle the record while
    parcels of it are still made.
    """

    __slots__ = ("_done", "_open")

    def __init__(self, parcels: int) -> None:
        self._open = parcels
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not parcels:
            self._done.set_result(None)

    def settle(self) -> None:
        """One parcel is delivered, or durably somewhere else."""
        self._open -= 1
        if not self._open and not self._done.done():
            self._done.set_result(None)

    def fail(self, error: Exception) -> None:
        """One parcel can be neither delivered nor put away: the record must be worked again."""
        if not self._done.done():
            self._done.set_exception(error)

    def settled(self) -> "asyncio.Future[None]":
        """Done once every parcel is; raises what :meth:`fail` was told."""
        return self._done


class Parcel:
    """``came_at`` is the loop's time; ``kept`` is whether it lies in the target's own lane already."""

    __slots__ = ("came_at", "item", "kept", "receipt")

    def __init__(self, item: Item, receipt: Receipt, came_at: float, *, kept: bool) -> None:
        self.item = item
        self.receipt = receipt
        self.came_at = came_at
        self.kept = kept


class Turn:
    """An item that waits for its target at the head of an ordered lane.

    ``outcome`` is that of one attempt, or ``None`` when none was made; whoever no longer wants to know cancels it.
    """

    __slots__ = ("item", "outcome")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.outcome: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()

    def tell(self, outcome: Outcome | None) -> None:
        """What came of it."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """It could not even be attempted."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
