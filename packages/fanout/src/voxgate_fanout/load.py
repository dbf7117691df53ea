"""How much waits in memory over all outboxes, and whether more records may be taken and opened. Pure.

Accepted events wait on disk, in their lane, until there is a use for them: opened all at once, their parcels would wait
for longer than their patience, and be written to disk once more. A target that falls behind counts for nothing here: it
has its own lane (see ``outbox``).
"""

from collections.abc import Callable
from typing import Final

__all__ = ["MAX_BYTES", "MAX_WAITING", "PER_TARGET", "Load"]

MAX_WAITING: Final = 1024
"""Parcels that wait in memory; with more, no record is opened until half of them are gone."""

PER_TARGET: Final = 96
"""The same for each target that has any: enough to keep it busy, and worked off in a fraction of a second."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of records in hand, opened or not; with more, none is taken until half of them are done."""


class Load:
    """Counts. ``changed`` is called whenever :attr:`may_open` or :attr:`may_take` changes."""

    __slots__ = ("_busy", "_bytes", "_changed", "_has_space", "_waiting", "may_open")

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._waiting = 0
        self._busy = 0
        self._bytes = 0
        self._has_space = True
        self.may_open = True
        """Whether there is a use for the parcels of another record. Bytes have no say: what waits unopened has some."""

    @property
    def may_take(self) -> bool:
        """Whether more records may be taken from the lane."""
        return self.may_open and self._has_space

    def queued(self, before: int, after: int) -> None:
        """A target's queue has grown or shrunk."""
        self._waiting += after - before
        if not before or not after:
            self._busy += (after > 0) - (before > 0)
        if self.may_open and self._waiting < PER_TARGET:
            return  # below every mark, as nearly always
        most = min(MAX_WAITING, PER_TARGET * (self._busy or 1))
        # Full at the mark, and not again before half of it: no turning on and off with every parcel.
        may_open = self._waiting * (1 if self.may_open else 2) < most
        if may_open is not self.may_open:
            self.may_open = may_open
            self._changed()

    def took(self, size: int) -> None:
        """A record of so many bytes is in hand; negative: it is done."""
        self._bytes += size
        has_space = self._bytes * (1 if self._has_space else 2) < MAX_BYTES
        if has_space is not self._has_space:
            self._has_space = has_space
            self._changed()
