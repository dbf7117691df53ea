"""One run over all policies: list, decide, and, where it is applied, remove."""

import errno
import os
from dataclasses import dataclass

from voxgate_core import Clock, VoxgateError
from voxgate_observability.retention.budget import Budget
from voxgate_observability.retention.plan import Amount, make_plan
from voxgate_observability.retention.policy import FilePolicy, RecordPolicy, RetentionConfig
from voxgate_observability.retention.records import RecordsOutcome, StoreFactories, sweep_records
from voxgate_observability.retention.report import PolicyReport, RunReport, Status, iso_time, shown_decisions
from voxgate_observability.retention.sweep import sweep
from voxgate_observability.retention.tree import Tree

__all__ = ["Mode", "run_policies"]

_CAPPED = "more than max_share would go, so nothing did: look at the plan, then use --force-cap with a reason"


@dataclass(frozen=True, slots=True)
class Mode:
    """``is_applied`` removes; ``forced_cap`` is the reason for lifting the cap; ``shown`` decisions are told of."""

    is_applied: bool = False
    forced_cap: str | None = None
    shown: int = 0

    @property
    def is_forced(self) -> bool:
        return self.forced_cap is not None


async def run_policies(
    config: RetentionConfig, stores: StoreFactories, mode: Mode, *, clock: Clock, budget: Budget
) -> RunReport:
    """Judge every policy in turn, each at the time the run began. Faults end up in the report; none is raised."""
    now, began = clock.now(), clock.monotonic()
    reports = []
    for policy in config.policies:
        start = clock.monotonic()
        if isinstance(policy, FilePolicy):
            report = _files(policy, mode, now, budget)
        else:
            report = await _records(policy, stores, mode, now, budget)
        report.seconds = clock.monotonic() - start
        reports.append(report)
    return RunReport(
        started_at=now,
        seconds=clock.monotonic() - began,
        uid=os.getuid(),
        is_applied=mode.is_applied,
        forced_cap=mode.forced_cap,
        stopped=budget.why,
        policies=tuple(reports),
    )


def _files(policy: FilePolicy, mode: Mode, now: float, budget: Budget) -> PolicyReport:
    report = PolicyReport(policy.name, policy.kind, policy.path)
    if budget.why is not None:
        report.worsen(Status.SHORT, f"not begun: {budget.why}")
        return report
    try:
        tree = Tree(policy.path, budget)
    except FileNotFoundError:
        report.notes.append("the directory does not exist, so there is nothing to do")
        return report
    except OSError as error:
        is_link = error.errno in (errno.ELOOP, errno.ENOTDIR)
        why = "it is, or leads through, a symbolic link or a file" if is_link else error.strerror
        report.worsen(Status.UNJUDGED, f"the directory can't be opened: {why}")
        return report
    with tree:
        _judge(policy, tree, mode, now, budget, report)
    return report


def _judge(policy: FilePolicy, tree: Tree, mode: Mode, now: float, budget: Budget, report: PolicyReport) -> None:
    listing = tree.read(policy)
    decided = make_plan(listing, policy, now, is_forced=mode.is_forced)
    left = {str(reason): count for reason, count in decided.left.items()}
    report.matched, report.wanted, report.planned = decided.matched, decided.wanted, decided.planned
    report.planned_directories = len(decided.directories)
    report.reasons = {reason.value: count for reason, count in decided.reasons().items() if count}
    report.decisions = shown_decisions(decided, mode.shown)
    if mode.is_applied:
        removed = sweep(tree, decided, budget, policy.name)
        report.removed, report.removed_directories = removed.amount, removed.directories
        listing.skipped.update(changed=removed.changed, gone=removed.gone)
    report.error_count, report.errors = listing.skipped.pop("errors", 0), listing.errors
    report.left = {**left, **+listing.skipped}
    if decided.is_capped:
        report.worsen(Status.SHORT, _CAPPED)
    if report.error_count:
        report.worsen(Status.SHORT, "some of it could not be read or removed; see the errors")
    if budget.why is not None:
        report.worsen(Status.SHORT, f"ended early: {budget.why}")
    elif not listing.is_whole:
        report.worsen(Status.SHORT, "too much for one run: only age was looked at, and not everywhere")
    if listing.skipped["too_deep"]:
        report.worsen(Status.SHORT, "some directories lie too deep and were left")


async def _records(
    policy: RecordPolicy, stores: StoreFactories, mode: Mode, now: float, budget: Budget
) -> PolicyReport:
    report = PolicyReport(policy.name, policy.kind.value)
    if budget.why is not None:
        report.worsen(Status.SHORT, f"not begun: {budget.why}")
        return report
    factory = stores.get(policy.kind.value)
    if factory is None:
        report.worsen(Status.UNJUDGED, f"nothing here keeps {policy.kind.value}: install the gateway beside this")
        return report
    try:
        async with factory() as store:
            outcome = await sweep_records(
                policy, store, now, budget, is_applied=mode.is_applied, is_forced=mode.is_forced
            )
    except VoxgateError as error:
        # Some may be gone already; how many, only the store knows.
        report.error_count, report.errors = 1, [error.message]
        report.worsen(Status.UNJUDGED, "the store failed; see the errors")
        return report
    _note_outcome(report, outcome, mode, budget)
    return report


def _note_outcome(report: PolicyReport, outcome: RecordsOutcome, mode: Mode, budget: Budget) -> None:
    report.matched, report.wanted = Amount(outcome.matched), Amount(outcome.wanted)
    report.planned = Amount() if outcome.is_capped else report.wanted
    report.removed = Amount(outcome.removed)
    report.reasons = {"max_age": report.planned.files} if report.planned.files else {}
    if outcome.oldest is not None:
        report.notes.append(f"the oldest record was of {iso_time(outcome.oldest)}")
    if outcome.is_capped:
        report.worsen(Status.SHORT, _CAPPED)
    if budget.why is not None:
        report.worsen(Status.SHORT, f"ended early: {budget.why}")
    elif mode.is_applied and outcome.removed < report.planned.files:
        report.worsen(Status.SHORT, "the store deleted fewer than it had counted")
