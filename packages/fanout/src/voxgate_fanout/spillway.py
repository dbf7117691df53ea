"""Where parcels leave memory for their target's lane: one write at a time, with whatever has come meanwhile."""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from itertools import islice

from voxgate_fanout.parcels import Parcel
from voxgate_fanout.records import Item, pack

__all__ = ["Spillway"]


class Spillway:
    """``spill`` stores the items of one record; ``start`` runs what is given to it, and keeps it in mind."""

    def __init__(
        self,
        spill: Callable[[Sequence[Item]], Awaitable[None]],
        start: Callable[[Coroutine[None, None, None]], object],
    ) -> None:
        self._spill = spill
        self._start = start
        self._leaving: deque[Parcel] = deque()
        self._is_open = False

    def __len__(self) -> int:
        """Parcels that are not stored yet."""
        return len(self._leaving)

    def put(self, parcels: Iterable[Parcel]) -> None:
        """Store them, and settle each once it is stored; one that can't be has its record worked again."""
        self._leaving.extend(parcels)
        if self._leaving and not self._is_open:
            self._is_open = True
            self._start(self._run())

    async def _run(self) -> None:
        while self._leaving:
            parcels = list(islice(self._leaving, pack(parcel.item for parcel in self._leaving)))
            try:
                await self._spill([parcel.item for parcel in parcels])
            except Exception as error:
                for parcel in parcels:
                    parcel.receipt.fail(error)
            for parcel in parcels:
                self._leaving.popleft()
                parcel.receipt.settle()
        self._is_open = False
