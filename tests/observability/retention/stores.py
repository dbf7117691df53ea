"""A record store that holds nothing but times."""

from types import TracebackType
from typing import Self

from voxgate_core import VoxgateError

__all__ = ["MemoryRecords"]


class MemoryRecords:
    """Shares the Protocol ``RecordStore``; ``fails_after`` calls of delete it raises."""

    def __init__(self, *times: float, fails_after: int | None = None) -> None:
        self.times = sorted(times)
        self.batches: list[int] = []
        self._fails_after = fails_after

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def count_older_than(self, moment: float) -> int:
        return sum(time < moment for time in self.times)

    async def delete_older_than(self, moment: float, limit: int) -> int:
        if self._fails_after is not None and len(self.batches) >= self._fails_after:
            raise VoxgateError("unavailable", "the database is away")
        count = min(limit, await self.count_older_than(moment))
        del self.times[:count]
        self.batches.append(count)
        return count

    async def oldest(self) -> float | None:
        return self.times[0] if self.times else None
