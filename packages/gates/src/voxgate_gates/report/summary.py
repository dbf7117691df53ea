"""``summary.md``: what a GitHub step summary shows. Pure."""

import re

from voxgate_gates.result import GateReport, Result, RunReport, Verdict

__all__ = ["summary_markdown"]

_MARKS = {Verdict.PASS: "✅ pass", Verdict.FAIL: "❌ fail", Verdict.SKIP: "⏭️ skip", Verdict.ERROR: "⚠️ not judged"}


def summary_markdown(report: RunReport) -> str:
    """A heading with the verdict, one row per gate, then every check that did not hold, and the figures."""
    lines = [
        f"## Release gates: {_mark(report)}",
        "",
        f"Target {_code(report.target)}, {len(report.results)} checks in {report.seconds:.1f} s.",
        "",
        *(f"> {_text(note)}" for note in report.notes),
        "",
        "| gate | verdict | held | fell short | skipped | not judged |",
        "|---|---|---:|---:|---:|---:|",
        *(_gate_row(gate) for gate in report.gates),
        "",
    ]
    short = [result for result in report.results if result.verdict is not Verdict.PASS]
    if short:
        lines += ["### What did not hold", "", *(line for result in short for line in _shortfall(result))]
    figures = [(result.id, *figure) for result in report.results for figure in result.figures]
    if figures:
        lines += ["### Figures", "", "| check | figure | value |", "|---|---|---|"]
        lines += [f"| {check_id} | {_text(name)} | {_text(text)} |" for check_id, name, text in figures]
        lines.append("")
    return "\n".join(lines)


def _mark(report: GateReport | RunReport) -> str:
    return f"⏭️ {report.partly}" if report.partly else _MARKS[report.verdict]


def _gate_row(gate: GateReport) -> str:
    counts = " | ".join(str(gate.count(verdict)) for verdict in Verdict)
    return f"| {gate.gate} | {_mark(gate)} | {counts} |"


def _shortfall(result: Result) -> list[str]:
    lines = [f"- **{result.id}** {_MARKS[result.verdict]} ({result.severity.value}): {_text(result.promise)}"]
    lines += [f"  - {_code(result.echo)}", f"  - {_text(result.advice)} See {_code(result.docs)}."]
    if result.trace_id:
        lines.append(f"  - trace id {_code(result.trace_id)}")
    if result.reproduce:
        lines.append(f"  - {_code(result.reproduce)}")
    return [*lines, ""]


def _code(text: str) -> str:
    """A code span that nothing inside can end: CommonMark 0.31, section 6.1."""
    flat = " ".join(text.split())
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def _text(text: str) -> str:
    # What a target sent must not become markup on a page that somebody trusts.
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))
