"""``report.json``: the run as data, in the shape that is part of the public surface. Pure.

``formats/report.schema.json`` is its JSON Schema.
"""

import json
from datetime import UTC, datetime

from voxgate_gates.result import GateReport, Result, RunReport, Verdict

__all__ = ["report_document", "report_json", "started_text"]


def report_document(report: RunReport) -> dict[str, object]:
    """``{version, target, started, seconds, verdict, counts, gates}``; ``started`` is ISO 8601 in UTC, times are seconds."""
    return {
        "version": report.version,
        "target": report.target,
        "started": started_text(report),
        "seconds": report.seconds,
        "verdict": report.verdict.value,
        "counts": {verdict.value: report.count(verdict) for verdict in Verdict},
        "gates": [_gate(gate) for gate in report.gates],
    }


def report_json(report: RunReport) -> str:
    """The document as text, for people too."""
    return json.dumps(report_document(report), indent=2, ensure_ascii=False) + "\n"


def started_text(report: RunReport) -> str:
    """When the run began: ISO 8601, UTC, whole seconds, ending in Z."""
    return datetime.fromtimestamp(report.started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _gate(gate: GateReport) -> dict[str, object]:
    return {"gate": gate.gate, "verdict": gate.verdict.value, "checks": [_check(result) for result in gate.results]}


def _check(result: Result) -> dict[str, object]:
    waiver = {"waiver": result.waiver} if result.waiver else {}
    return {
        "id": result.id,
        "promise": result.promise,
        "condition": result.condition,
        "got": "; ".join((result.got, *(f"{name}: {text}" for name, text in result.figures))),
        "verdict": result.verdict.value,
        "seconds": result.seconds,
        "traceId": result.trace_id,
        "reproduce": result.reproduce,
        "docs": result.docs,
        **waiver,
    }
