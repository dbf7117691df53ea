"""Where parcels leave memory for their target's lane: one write at a time, with whatever has come meanwhile.

A target that can't keep up is in no hurry, and the disk is everybody's: after a write the next one waits for LINGER
seconds, so that one slow target costs a few writes a second, however many events it gets.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from voxgate_fanout.parcels import Parcel
from voxgate_fanout.records import Item, pack

__all__ = ["LINGER", "Spillway"]

LINGER: Final = 0.1
"""Seconds between two writes into one lane."""


class Spillway:
    """``spill`` stores the items of one record; ``start`` runs what is given to it, and keeps it in mind.

    ``linger`` is the seconds between two writes.
    """

    def __init__(
        self,
        spill: Callable[[Sequence[Item]], Awaitable[None]],
        start: Callable[[Coroutine[None, None, None]], object],
        *,
        linger: float = LINGER,
    ) -> None:
        self._spill = spill
        self._start = start
        self._linger = linger
        self._leaving: deque[Parcel] = deque()
        self._is_open = False
        self._hurry = asyncio.Event()

    def __len__(self) -> int:
        """Parcels that are not stored yet."""
        return len(self._leaving)

    def put(self, parcels: Iterable[Parcel]) -> None:
        """Store them, and settle each once it is stored; one that can't be has its record worked again."""
        self._leaving.extend(parcels)
        if self._leaving and not self._is_open:
            self._is_open = True
            self._start(self._run())

    def hurry(self) -> None:
        """Linger no longer: the process ends."""
        self._hurry.set()

    async def _run(self) -> None:
        while self._leaving:
            await self._write()
            if self._linger and not self._hurry.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._linger):
                        await self._hurry.wait()
        self._is_open = False

    async def _write(self) -> None:
        parcels = list(islice(self._leaving, pack(parcel.item for parcel in self._leaving)))
        try:
            await self._spill([parcel.item for parcel in parcels])
        except Exception as error:
            for parcel in parcels:
                parcel.receipt.fail(error)
        for parcel in parcels:
            self._leaving.popleft()
            parcel.receipt.settle()
