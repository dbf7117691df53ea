"""The table a person reads when a run is over."""

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from voxgate_gates.result import GateReport, Result, RunReport, Verdict

__all__ = ["print_report"]

MIN_PROMISE: Final = 12
"""Characters of a promise shown even where the terminal has no room for them."""

OTHER_COLUMNS: Final = 30
"""Characters taken by verdict, seconds and the gaps."""

MAX_NAMED: Final = 3
"""Checks that are named where one reason kept them all from being judged."""

PLACEHOLDERS: Final = "In the commands, $VOXGATE_KEY stands for the API key and $TOKEN for a fresh token."

_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.SKIP: "yellow", Verdict.ERROR: "bold yellow"}
_WORDS = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.SKIP: "SKIPPED", Verdict.ERROR: "NOT JUDGED"}


def print_report(report: RunReport, console: Console) -> None:
    """One table per gate, then each shortfall with what to do, the figures, and the verdict on the last line."""
    for gate in report.gates:
        console.print(_table(gate, console.width), crop=False)  # where it is wider, the terminal breaks its lines
    unasked: dict[str, list[str]] = {}
    for result in report.results:
        if result.verdict is Verdict.FAIL or (result.verdict is Verdict.ERROR and result.request):
            _print_shortfall(result, console)
        elif result.verdict is Verdict.ERROR and not any(result.got in note for note in report.notes):
            unasked.setdefault(result.got, []).append(result.id)
    for reason, checks in unasked.items():  # one cause may keep many from asking anything
        _print_unasked(reason, checks, console)
    for result in report.results:
        for name, text in result.figures:
            console.print(Text(f"{result.id}: {name} {text}"), soft_wrap=True)
    if any(result.reproduce for result in report.results if result.verdict is Verdict.FAIL):
        console.print(Text(PLACEHOLDERS, style="dim"), soft_wrap=True)
    for note in report.notes:
        console.print(Text(note, style="yellow"), soft_wrap=True)
    console.print(_last_line(report), soft_wrap=True)


def _table(gate: GateReport, width: int) -> Table:
    title = f"{gate.gate} gate: [{_style(gate)}]{_word(gate)}[/]"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    names = [result.id.removeprefix(f"{gate.gate}.") for result in gate.results]
    # One line per check: a promise that is cut here stands whole in the reports. Why one was skipped stands nowhere else.
    others = max(map(len, names)) + OTHER_COLUMNS
    room = max(MIN_PROMISE, width - others)
    table.width = others + room
    for heading in ("check", "verdict", "seconds"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "seconds" else "left")
    table.add_column("promise", overflow="fold")
    for name, result in zip(names, gate.results, strict=True):
        told = Text(result.got if result.verdict is Verdict.SKIP else result.promise)
        if result.verdict is not Verdict.SKIP:
            told.truncate(room, overflow="ellipsis")
        verdict = Text("WAIVED" if result.waiver else _WORDS[result.verdict], style=_STYLES[result.verdict])
        table.add_row(name, verdict, f"{result.seconds:.2f}", told)
    return table


def _print_shortfall(result: Result, console: Console) -> None:
    console.print(Text(f"{result.id} {_WORDS[result.verdict]}", style=_STYLES[result.verdict]))
    rows = [
        ("wanted", result.condition),
        ("got", "; ".join(result.shortfalls) or result.got),
        ("do", result.advice),
        ("see", result.docs),
        ("trace id", result.trace_id),
        ("again", result.reproduce),
    ]
    for label, text in rows:
        if text:
            console.print(Text(f"  {label:<9}{text}"), soft_wrap=True)
    console.print()


def _print_unasked(reason: str, checks: list[str], console: Console) -> None:
    named = ", ".join(checks[:MAX_NAMED]) + (f" and {len(checks) - MAX_NAMED} more" if len(checks) > MAX_NAMED else "")
    console.print(Text(f"{named} {_WORDS[Verdict.ERROR]}", style=_STYLES[Verdict.ERROR]), soft_wrap=True)
    console.print(Text(f"  {'got':<9}{reason}"), soft_wrap=True)
    console.print()


def _last_line(report: RunReport) -> Text:
    counts = [(report.count(Verdict.PASS), "held"), (report.count(Verdict.FAIL), "fell short")]
    counts += [(report.count(Verdict.SKIP), "skipped"), (report.count(Verdict.ERROR), "not judged")]
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    line = f"{_word(report)}: {told or 'nothing was judged'}, in {report.seconds:.1f} s, at {report.target}"
    return Text(line, style=_style(report))


def _word(report: GateReport | RunReport) -> str:
    return "PARTLY JUDGED" if report.partly else _WORDS[report.verdict]


def _style(report: GateReport | RunReport) -> str:
    return _STYLES[Verdict.SKIP if report.partly else report.verdict]
