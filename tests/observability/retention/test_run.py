import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.observability.retention.stores import MemoryRecords
from tests.observability.retention.trees import DAY, NOW, descriptors, make
from voxgate_core import ManualClock
from voxgate_observability.retention.budget import Budget
from voxgate_observability.retention.plan import Amount
from voxgate_observability.retention.policy import FilePolicy, Policy, RecordKind, RecordPolicy, RetentionConfig
from voxgate_observability.retention.records import StoreFactories
from voxgate_observability.retention.report import PolicyReport, RunReport, Status
from voxgate_observability.retention.run import Mode, run_policies
from voxgate_observability.retention.tree import MAX_DEPTH

TALKS = RecordPolicy("talks", RecordKind.CONVERSATIONS, max_age=30 * DAY, max_share=1.0)


def files(root: Path, **settings: object) -> FilePolicy:
    return replace(FilePolicy("temp", str(root), max_age=DAY, max_share=1.0), **settings)  # type: ignore[arg-type]


async def ran(
    *policies: Policy, stores: StoreFactories | None = None, mode: Mode | None = None, budget: Budget | None = None
) -> RunReport:
    clock = ManualClock(NOW)
    return await run_policies(
        RetentionConfig(policies), stores or {}, mode or Mode(True), clock=clock, budget=budget or Budget(clock, 600)
    )


async def only(*policies: Policy, **options: object) -> PolicyReport:
    report = await ran(*policies, **options)  # type: ignore[arg-type]
    (policy,) = report.policies
    return policy


async def test_a_dry_run_plans_what_the_real_one_then_removes(tmp_path: Path) -> None:
    make(tmp_path / "old", content=b"12")
    make(tmp_path / "new", days=0)
    dry = await only(files(tmp_path), mode=Mode(False, shown=5))
    assert (dry.planned, dry.removed) == (Amount(1, 2), Amount())
    assert [decision["path"] for decision in dry.decisions] == ["old"]
    assert len(os.listdir(tmp_path)) == 2
    real = await only(files(tmp_path))
    assert (real.status, real.planned, real.removed) == (Status.HELD, Amount(1, 2), Amount(1, 2))
    assert os.listdir(tmp_path) == ["new"]
    assert (await only(files(tmp_path))).planned == Amount()


async def test_the_cap_falls_short_until_it_is_forced(tmp_path: Path) -> None:
    make(tmp_path / "old")
    capped = await only(files(tmp_path, max_share=0.5))
    assert (capped.status, capped.wanted, capped.left) == (Status.SHORT, Amount(1, 1), {"max_share": 1})
    assert os.listdir(tmp_path) == ["old"]
    assert (await only(files(tmp_path, max_share=0.5), mode=Mode(True, "moved house"))).removed == Amount(1, 1)


async def test_a_directory_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    report = await only(files(tmp_path / "absent"))
    assert (report.status, len(report.notes)) == (Status.HELD, 1)


async def test_a_link_in_the_place_of_the_directory_can_not_be_judged(tmp_path: Path) -> None:
    precious = make(tmp_path / "out" / "old")
    (tmp_path / "in").symlink_to(tmp_path / "out")
    assert (await only(files(tmp_path / "in"))).status is Status.UNJUDGED
    assert precious.exists()


async def test_a_stopped_run_says_what_it_did_not_begin(tmp_path: Path) -> None:
    make(tmp_path / "old")
    budget = Budget(ManualClock(), 60)
    budget.stop("stopped by SIGTERM")
    report = await ran(files(tmp_path), TALKS, budget=budget)
    assert report.stopped == "stopped by SIGTERM"
    assert [policy.notes for policy in report.policies] == [["not begun: stopped by SIGTERM"]] * 2
    assert report.status is Status.SHORT
    assert (tmp_path / "old").exists()


async def test_records_go_through_the_store_of_their_kind() -> None:
    store = MemoryRecords(NOW - 40 * DAY, NOW - 20 * DAY)
    dry = await only(TALKS, stores={"conversations": lambda: store}, mode=Mode(False))
    assert (dry.planned, dry.removed, dry.reasons) == (Amount(1), Amount(), {"max_age": 1})
    real = await only(TALKS, stores={"conversations": lambda: store})
    assert (real.status, real.removed, store.times) == (Status.HELD, Amount(1), [NOW - 20 * DAY])


async def test_without_a_store_records_can_not_be_judged() -> None:
    assert (await only(TALKS)).status is Status.UNJUDGED


@pytest.mark.parametrize("mode", [Mode(False), Mode(True)])
async def test_too_many_records_at_once_fall_short(mode: Mode) -> None:
    store = MemoryRecords(NOW - 40 * DAY)
    report = await only(replace(TALKS, max_share=0.5), stores={"conversations": lambda: store}, mode=mode)
    assert (report.status, report.planned, len(store.times)) == (Status.SHORT, Amount(), 1)


async def test_a_store_that_fails_is_told_and_ends_no_other_policy(tmp_path: Path) -> None:
    make(tmp_path / "old")
    store = MemoryRecords(NOW - 40 * DAY, fails_after=0)
    report = await ran(TALKS, files(tmp_path), stores={"conversations": lambda: store})
    assert [policy.status for policy in report.policies] == [Status.UNJUDGED, Status.HELD]
    assert report.policies[0].errors == ["the database is away"]
    assert report.policies[1].removed == Amount(1, 1)


async def test_faults_and_what_lies_too_deep_fall_short(tmp_path: Path) -> None:
    make(tmp_path / "shut" / "old")
    with descriptors(2):
        report = await only(files(tmp_path, recursive=True))
    assert (report.status, report.error_count) == (Status.SHORT, 1)
    assert report.errors == ["shut/: Too many open files"]
    deep = tmp_path.joinpath(*["d"] * (MAX_DEPTH + 1))
    make(deep / "old")
    report = await only(files(tmp_path, recursive=True))
    assert (report.status, report.left["too_deep"]) == (Status.SHORT, 1)


async def test_a_run_whose_time_is_up_falls_short_and_says_so(tmp_path: Path) -> None:
    make(tmp_path / "old")
    clock = ManualClock(NOW)
    budget = Budget(clock, 60)
    clock.advance(60)
    report = await ran(files(tmp_path), budget=budget)
    assert report.stopped == "time limit of 60 s"
    assert report.policies[0].notes == ["ended early: time limit of 60 s"]
    assert (tmp_path / "old").exists()


class ForgetfulRecords(MemoryRecords):
    """Counts what it then does not find."""

    async def delete_older_than(self, moment: float, limit: int) -> int:
        return 0


async def test_a_store_that_deletes_fewer_than_it_counted_falls_short() -> None:
    report = await only(TALKS, stores={"conversations": lambda: ForgetfulRecords(NOW - 40 * DAY)})
    assert (report.status, report.removed) == (Status.SHORT, Amount())
