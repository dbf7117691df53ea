"""Black-box release checks against a URL: runner, harness, reports. Imports no other voxgate package."""

from voxgate_gates.check import Check, Need, Severity, Suite, select
from voxgate_gates.checks import ALL_CHECKS, GATES
from voxgate_gates.condition import ABSENT, Condition, ConditionError, Evaluation
from voxgate_gates.harness import Credentials, StartFailed, StopFailed, running_server, running_target
from voxgate_gates.probe import Answer, Probe, Unjudged
from voxgate_gates.redaction import Redactor
from voxgate_gates.report import junit_xml, print_report, report_document, summary_markdown, write_reports
from voxgate_gates.result import GateReport, Result, RunReport, Verdict
from voxgate_gates.runner import run_checks
from voxgate_gates.target import Budgets, NotOffered, Routes, Target, TargetError
from voxgate_gates.waivers import Waiver, apply_waivers

__all__ = [
    "ABSENT",
    "ALL_CHECKS",
    "GATES",
    "Answer",
    "Budgets",
    "Check",
    "Condition",
    "ConditionError",
    "Credentials",
    "Evaluation",
    "GateReport",
    "Need",
    "NotOffered",
    "Probe",
    "Redactor",
    "Result",
    "Routes",
    "RunReport",
    "Severity",
    "StartFailed",
    "StopFailed",
    "Suite",
    "Target",
    "TargetError",
    "Unjudged",
    "Verdict",
    "Waiver",
    "__version__",
    "apply_waivers",
    "junit_xml",
    "print_report",
    "report_document",
    "run_checks",
    "running_server",
    "running_target",
    "select",
    "summary_markdown",
    "write_reports",
]

__version__ = "0.2.0rc2"
