"""Records that have an age: conversations, and audit lines. Whoever keeps them offers a :class:`RecordStore`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from voxgate_observability.retention.budget import Budget
from voxgate_observability.retention.policy import RecordPolicy

__all__ = ["DELETE_BATCH", "RecordStore", "RecordsOutcome", "StoreFactories", "sweep_records"]

DELETE_BATCH: Final = 1000
"""Records one call may delete, so that no transaction holds the store for long."""


class RecordStore(Protocol):
    """Records of one kind. ``moment`` is epoch seconds; a record is older when its time lies before it.

    Errors are raised as :class:`voxgate_core.VoxgateError`.
    """

    async def count_older_than(self, moment: float) -> int:
        """How many records are older."""
        ...

    async def delete_older_than(self, moment: float, limit: int) -> int:
        """Delete at most ``limit`` of them for good, the oldest first, and return how many it were."""
        ...

    async def oldest(self) -> float | None:
        """The time of the oldest record, or ``None`` when there is none."""
        ...


StoreFactories = Mapping[str, Callable[[], AbstractAsyncContextManager[RecordStore]]]
"""Opens the store of a kind: ``conversations``, ``audit``."""


@dataclass(frozen=True, slots=True)
class RecordsOutcome:
    """Counts of records. ``oldest`` is the time of the oldest one before the sweep, in epoch seconds."""

    matched: int
    wanted: int
    removed: int
    is_capped: bool
    oldest: float | None


async def sweep_records(
    policy: RecordPolicy, store: RecordStore, now: float, budget: Budget, *, is_applied: bool, is_forced: bool
) -> RecordsOutcome:
    """Delete what is past its age, in batches, unless that is more than ``max_share`` of all and not forced."""
    cutoff = policy.cutoff(now)
    oldest = await store.oldest()
    matched = await store.count_older_than(now)
    wanted = await store.count_older_than(cutoff)
    is_capped = not is_forced and wanted > policy.max_share * matched
    removed = 0
    # Never more than was counted: records that grow old meanwhile are the next run's.
    while is_applied and not is_capped and removed < wanted and budget.why is None:
        count = await store.delete_older_than(cutoff, min(DELETE_BATCH, wanted - removed))
        if not count:
            break
        removed += count
        progress = f"{policy.name}: {removed:,} of {wanted:,} records removed"
        budget.look(partial(str, progress))
    return RecordsOutcome(matched, wanted, removed, is_capped, oldest)
