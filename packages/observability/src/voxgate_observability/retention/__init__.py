"""Retention: data is kept as long as the policies say, and removed without ever leaving the directories they name."""

from voxgate_observability.retention.budget import Budget
from voxgate_observability.retention.listing import Entry, EntryKind, Listing
from voxgate_observability.retention.plan import Decision, Plan, Reason, make_plan
from voxgate_observability.retention.policy import (
    AUDIT_FLOOR_SECONDS,
    FilePolicy,
    RecordKind,
    RecordPolicy,
    RetentionConfig,
    parse_config,
)
from voxgate_observability.retention.records import RecordStore, StoreFactories
from voxgate_observability.retention.report import PolicyReport, RunReport, Status
from voxgate_observability.retention.run import Mode, run_policies

__all__ = [
    "AUDIT_FLOOR_SECONDS",
    "Budget",
    "Decision",
    "Entry",
    "EntryKind",
    "FilePolicy",
    "Listing",
    "Mode",
    "Plan",
    "PolicyReport",
    "Reason",
    "RecordKind",
    "RecordPolicy",
    "RecordStore",
    "RetentionConfig",
    "RunReport",
    "Status",
    "StoreFactories",
    "make_plan",
    "parse_config",
    "run_policies",
]
