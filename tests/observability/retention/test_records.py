from tests.observability.retention.stores import MemoryRecords
from tests.observability.retention.trees import unhurried
from voxgate_core import ManualClock
from voxgate_observability.retention.budget import Budget
from voxgate_observability.retention.policy import AUDIT_FLOOR_SECONDS, RecordKind, RecordPolicy
from voxgate_observability.retention.records import DELETE_BATCH, RecordsOutcome, RecordStore, sweep_records

NOW = 1_000_000_000.0
TALKS = RecordPolicy("talks", RecordKind.CONVERSATIONS, max_age=100, max_share=0.5)


def ages(*seconds: float) -> MemoryRecords:
    return MemoryRecords(*(NOW - age for age in seconds))


async def swept(
    policy: RecordPolicy, store: RecordStore, *, is_applied: bool = True, is_forced: bool = False
) -> RecordsOutcome:
    return await sweep_records(policy, store, NOW, unhurried(), is_applied=is_applied, is_forced=is_forced)


async def test_records_past_their_age_go() -> None:
    store = ages(300, 101, 100, 1)
    assert await swept(TALKS, store) == RecordsOutcome(4, 2, 2, False, NOW - 300)
    assert store.times == [NOW - 100, NOW - 1]


async def test_a_dry_run_counts_and_deletes_nothing() -> None:
    store = ages(300, 1)
    assert await swept(TALKS, store, is_applied=False) == RecordsOutcome(2, 1, 0, False, NOW - 300)
    assert len(store.times) == 2


async def test_too_large_a_share_holds_everything_back_unless_forced() -> None:
    store = ages(300, 200, 1)
    outcome = await swept(TALKS, store)
    assert (outcome.is_capped, outcome.removed, len(store.times)) == (True, 0, 3)
    assert (await swept(TALKS, store, is_forced=True)).removed == 2


async def test_audit_lines_within_the_floor_stay_whatever_the_policy() -> None:
    store = ages(AUDIT_FLOOR_SECONDS + 1, AUDIT_FLOOR_SECONDS - 1)
    sly = RecordPolicy("audit", RecordKind.AUDIT, max_age=1, max_share=1.0)
    assert (await swept(sly, store, is_forced=True)).removed == 1
    assert store.times == [NOW - AUDIT_FLOOR_SECONDS + 1]


async def test_many_go_in_batches() -> None:
    store = ages(*[500.0] * (DELETE_BATCH + 7))
    assert (await swept(TALKS, store, is_forced=True)).removed == DELETE_BATCH + 7
    assert store.batches == [DELETE_BATCH, 7]


async def test_a_run_whose_time_is_up_ends_between_batches() -> None:
    store, clock = ages(*[500.0] * (DELETE_BATCH * 3)), ManualClock()
    budget = Budget(clock, 1)
    clock.advance(1)
    outcome = await sweep_records(TALKS, store, NOW, budget, is_applied=True, is_forced=True)
    assert outcome.removed == DELETE_BATCH
    assert budget.why is not None


async def test_an_empty_store_is_fine() -> None:
    assert await swept(TALKS, MemoryRecords()) == RecordsOutcome(0, 0, 0, False, None)
