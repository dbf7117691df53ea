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
from voxgate_gates.target import Routes, Target, TargetError

__all__ = [
    "ABSENT",
    "ALL_CHECKS",
    "GATES",
    "Answer",
    "Check",
    "Condition",
    "ConditionError",
    "Credentials",
    "Evaluation",
    "GateReport",
    "Need",
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
    "__version__",
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
