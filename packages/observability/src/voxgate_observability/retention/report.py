"""What a run did, as JSON for people and programs, as one audit line, and as metrics. No I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import IntEnum
from itertools import islice
from typing import Any, Final

from voxgate_observability.retention.listing import shown
from voxgate_observability.retention.plan import Amount, Decision, Plan

__all__ = ["PolicyReport", "RunReport", "Status", "iso_time", "metrics_text", "shown_decisions"]

METRIC: Final = "voxgate_retention_"
"""What the names of all metrics begin with."""


class Status(IntEnum):
    """How a policy or a run went; the number is the exit status."""

    HELD = 0
    SHORT = 1
    UNJUDGED = 2


@dataclass(slots=True)
class PolicyReport:
    """One policy's part. Amounts count files or records; ``left`` says why something stayed, and how much of it."""

    name: str
    kind: str
    path: str | None = None
    status: Status = Status.HELD
    matched: Amount = Amount()
    wanted: Amount = Amount()
    planned: Amount = Amount()
    planned_directories: int = 0
    removed: Amount = Amount()
    removed_directories: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)
    error_count: int = 0
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def worsen(self, status: Status, note: str) -> None:
        """Say why the policy did not hold, or could not be judged."""
        self.status = max(self.status, status)
        self.notes.append(note)

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "path": self.path,
            "status": self.status.name.lower(),
            "matched": _amount(self.matched),
            "wanted": _amount(self.wanted),
            "planned": {**_amount(self.planned), "directories": self.planned_directories},
            "removed": {**_amount(self.removed), "directories": self.removed_directories},
            "reasons": dict(self.reasons),
            "left": dict(self.left),
            "errorCount": self.error_count,
            "errors": self.errors,
            "notes": self.notes,
            "decisions": self.decisions,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run. Times are epoch seconds; ``is_applied`` is false for a dry run; ``stopped`` is why it ended early."""

    started_at: float
    seconds: float
    uid: int
    is_applied: bool
    forced_cap: str | None
    stopped: str | None
    policies: tuple[PolicyReport, ...]
    last_success: float | None = None

    @property
    def status(self) -> Status:
        """The worst of all policies; a run that ended early fell short."""
        worst = max((policy.status for policy in self.policies), default=Status.HELD)
        return max(worst, Status.HELD if self.stopped is None else Status.SHORT)

    def after(self, last_success: float | None) -> "RunReport":
        """The same, knowing the last success before it. Only a run that removes, and holds, is one itself."""
        if self.is_applied and self.status is Status.HELD:
            last_success = self.started_at + self.seconds
        return replace(self, last_success=last_success)

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            **self._head(),
            "lastSuccess": self.last_success,
            "policies": [policy.document() for policy in self.policies],
        }

    def audit_line(self) -> dict[str, Any]:
        """As JSON data: who did what, and how much of it, without the names of files."""
        policies = [
            {
                "name": policy.name,
                "kind": policy.kind,
                "path": policy.path,
                "status": policy.status.name.lower(),
                "planned": _amount(policy.planned),
                "removed": {**_amount(policy.removed), "directories": policy.removed_directories},
                "errors": policy.error_count,
            }
            for policy in self.policies
        ]
        return {"event": "retention.run", **self._head(), "policies": policies}

    def _head(self) -> dict[str, Any]:
        return {
            "startedAt": iso_time(self.started_at),
            "seconds": round(self.seconds, 3),
            "uid": self.uid,
            "applied": self.is_applied,
            "dryRun": not self.is_applied,
            "forcedCap": self.forced_cap,
            "stopped": self.stopped,
            "status": self.status.name.lower(),
        }


def shown_decisions(plan: Plan, limit: int) -> list[dict[str, Any]]:
    """The first ``limit`` of what goes, as JSON data."""
    return [_decision(decision) for decision in islice(plan.decisions(), limit)]


def iso_time(seconds: float) -> str:
    """Epoch seconds as RFC 3339 in UTC. A file may carry any time, so one no calendar has is given as a number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"@{seconds:.0f}"


def metrics_text(report: RunReport) -> str:
    """Prometheus' text format, version 0.0.4, for node_exporter's textfile collector."""
    return "".join(f"{line}\n" for line in _metric_lines(report))


def _metric_lines(report: RunReport) -> Iterator[str]:
    end = report.started_at + report.seconds
    single = (
        ("last_run_timestamp_seconds", "When retention last ran, dry runs included.", end),
        ("last_success_timestamp_seconds", "When retention last removed all it should.", report.last_success),
        ("last_run_duration_seconds", "How long the last run took.", report.seconds),
        ("last_run_status", "0 all held, 1 something fell short, 2 could not be judged.", int(report.status)),
        ("last_run_applied", "1 where the last run removed, 0 for a dry run.", int(report.is_applied)),
    )
    for name, told, value in single:
        if value is not None:
            yield from _header(name, told)
            yield f"{METRIC}{name} {value:.3f}" if isinstance(value, float) else f"{METRIC}{name} {value}"
    for name, told, values in (
        ("removed_files", "Files or records removed by the last run.", [p.removed.files for p in report.policies]),
        ("removed_bytes", "Bytes the disk got back in the last run.", [p.removed.bytes for p in report.policies]),
        ("matched_files", "Files or records found by the last run.", [p.matched.files for p in report.policies]),
        ("matched_bytes", "Bytes found by the last run.", [p.matched.bytes for p in report.policies]),
        ("errors", "Faults in the last run.", [p.error_count for p in report.policies]),
    ):
        yield from _header(name, told)
        for policy, count in zip(report.policies, values, strict=True):
            yield f'{METRIC}{name}{{policy="{policy.name}"}} {count}'


def _header(name: str, told: str) -> tuple[str, str]:
    return f"# HELP {METRIC}{name} {told}", f"# TYPE {METRIC}{name} gauge"


def _amount(amount: Amount) -> dict[str, int]:
    return {"count": amount.files, "bytes": amount.bytes}


def _decision(decision: Decision) -> dict[str, Any]:
    entry = decision.entry
    return {
        "path": shown(entry.path),
        "reason": decision.reason.value,
        "bytes": entry.size,
        "changedAt": iso_time(entry.mtime_ns / 1_000_000_000),
    }
