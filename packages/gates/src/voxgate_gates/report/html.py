"""``report.html``: one page that a release manager can read, reproduce and sign. No script, no request to anywhere. Pure.

Everything that a target said is text here and nothing else: it is escaped, and a policy in the page's head forbids what
escaping might ever miss.
"""

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Final

from voxgate_gates.report.document import started_text
from voxgate_gates.result import GateReport, Result, RunReport, Verdict

__all__ = ["report_html"]

WORDS: Final = {
    Verdict.PASS: "held",
    Verdict.FAIL: "fell short",
    Verdict.SKIP: "skipped",
    Verdict.ERROR: "not judged",
}
HEADLINES: Final = {
    Verdict.PASS: "Every promise held",
    Verdict.FAIL: "A promise is broken",
    Verdict.SKIP: "Nothing was judged",
    Verdict.ERROR: "Some of it could not be judged",
}
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

SHOWN: Final = 4000
"""Characters of one text that are shown; a report is read by people."""


def report_html(report: RunReport) -> str:
    """The whole page."""
    return "\n".join(_page(report)) + "\n"


def _text(value: object) -> str:
    shown = str(value)
    return escape(shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}… ({len(shown)} characters)")


def _page(report: RunReport) -> Iterator[str]:
    style = files("voxgate_gates.report").joinpath("report.css").read_text("utf-8")
    headline = HEADLINES[report.verdict]
    if report.partly:
        headline = f"{report.partly.capitalize()}, the rest held"
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{_text(headline)}: {_text(report.target)}</title>"
    yield f"<style>{style}</style></head><body><main>"
    yield f'<header class="{_tone(report)}"><p class="brand">voxgate gates</p><h1>{_text(headline)}</h1>'
    yield '<dl class="facts">'
    for name, value in (
        ("Target", report.target),
        ("Version", report.version),
        ("Started", started_text(report)),
        ("Took", f"{report.seconds:.1f} s"),
    ):
        yield f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>"
    yield "</dl><ul class='counts'>"
    for verdict, word in WORDS.items():
        if report.count(verdict):
            yield f'<li class="{verdict}"><b>{report.count(verdict)}</b> {word}</li>'
    yield "</ul></header>"
    for note in report.notes:
        yield f'<p class="note">{_text(note)}</p>'
    yield '<nav aria-label="Gates"><ul>'
    for gate in report.gates:
        yield f'<li class="{_tone(gate)}"><a href="#{_text(gate.gate)}">{_text(gate.gate)}</a> {_tally(gate)}</li>'
    yield "</ul></nav>"
    for gate in report.gates:
        yield from _gate(gate)
    yield '<section class="sign"><h2>Signed off</h2><dl><div><dt>Name</dt><dd></dd></div><div><dt>Role</dt><dd></dd></div>'
    yield "<div><dt>Date</dt><dd></dd></div><div><dt>Signature</dt><dd></dd></div></dl></section>"
    yield "<footer>In the commands, $VOXGATE_KEY stands for the API key and $TOKEN for a fresh token. No secret is on this"
    yield "page.</footer></main></body></html>"


def _tone(report: GateReport | RunReport) -> Verdict:
    return Verdict.SKIP if report.partly else report.verdict


def _tally(gate: GateReport) -> str:
    return f"{gate.count(Verdict.PASS)}/{len(gate.results)}"


def _gate(gate: GateReport) -> Iterator[str]:
    yield f'<section id="{_text(gate.gate)}"><h2>{_text(gate.gate)} <small>{_tally(gate)} held</small></h2>'
    # What fell short comes first: that is what the reader is here for.
    order = (Verdict.FAIL, Verdict.ERROR, Verdict.SKIP, Verdict.PASS)
    for result in sorted(gate.results, key=lambda result: order.index(result.verdict)):
        yield from _result(result)
    yield "</section>"


def _result(result: Result) -> Iterator[str]:
    is_open = " open" if result.verdict in (Verdict.FAIL, Verdict.ERROR) else ""
    yield f'<details class="{result.verdict}" id="{_text(result.id)}"{is_open}><summary>'
    yield f'<span class="verdict">{"waived" if result.waiver else WORDS[result.verdict]}</span> <span class="promise">{_text(result.promise)}</span>'
    yield f'<code class="id">{_text(result.id)}</code> <span class="seconds">{result.seconds:.2f} s</span></summary><dl>'
    yield f"<dt>Condition</dt><dd><code>{_text(result.condition)}</code></dd>"
    yield f"<dt>Came</dt><dd><code>{_text('; '.join(result.shortfalls) or result.got)}</code></dd>"
    if result.waiver:
        yield f"<dt>Waiver</dt><dd>{_text(result.waiver)}</dd>"
    for name, text in result.figures:
        yield f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>"
    if result.verdict is not Verdict.PASS:
        yield f"<dt>Do</dt><dd>{_text(result.advice)}</dd>"
    if result.request:
        yield f"<dt>Sent</dt><dd><pre>{_text(result.request)}</pre></dd>"
    if result.reproduce:
        yield f"<dt>Again</dt><dd><pre>{_text(result.reproduce)}</pre></dd>"
    if result.trace_id:
        yield f"<dt>Trace</dt><dd><code>{_text(result.trace_id)}</code></dd>"
    yield f"<dt>Severity</dt><dd>{_text(result.severity)}</dd><dt>Read</dt><dd><code>{_text(result.docs)}</code></dd>"
    yield "</dl></details>"
