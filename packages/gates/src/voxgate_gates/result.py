"""What came of a run: one result per check, verdicts per gate and for all, the exit code. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from voxgate_gates.check import Check, Severity
from voxgate_gates.envelope import is_trace_id
from voxgate_gates.redaction import Redactor
from voxgate_gates.visible import visible

__all__ = ["EXIT_CODES", "GateReport", "Result", "RunReport", "Verdict", "combine"]


class Verdict(StrEnum):
    """``SKIP`` means a need was missing, ``ERROR`` that the target could not be judged. Neither is ``PASS``."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


EXIT_CODES: Final = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.ERROR: 2, Verdict.SKIP: 2}
"""0 all held, 1 something fell short, 2 could not be judged: nothing judged at all is not a success either."""


@dataclass(frozen=True, slots=True)
class Result:
    """One check, judged. Times are seconds. Every text is redacted by :meth:`made`, the only way to build one.

    ``got`` is what came, in the terms of the condition; for a skipped or errored check, why. ``shortfalls`` echoes
    each clause that did not hold. ``figures`` are measurements worth printing, as name and text. ``waiver`` says who answers
    for a shortfall that was skipped for that.
    """

    id: str
    gate: str
    promise: str
    condition: str
    verdict: Verdict
    got: str
    seconds: float
    severity: Severity
    docs: str
    advice: str
    request: str = ""
    trace_id: str = ""
    reproduce: str = ""
    shortfalls: tuple[str, ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    waiver: str = ""

    @classmethod
    def made(
        cls,
        check: Check,
        verdict: Verdict,
        got: str,
        *,
        redactor: Redactor,
        seconds: float = 0.0,
        request: str = "",
        trace_id: str = "",
        reproduce: str = "",
        shortfalls: Iterable[str] = (),
        figures: Iterable[tuple[str, str]] = (),
    ) -> "Result":
        """A result about ``check`` with every secret taken out, and nothing in it that a terminal would obey."""

        def hide(text: str) -> str:
            return visible(redactor.text(text))

        return cls(
            id=check.id,
            gate=check.gate,
            promise=check.promise,
            condition=str(check.condition),
            verdict=verdict,
            got=hide(got),
            seconds=round(seconds, 3),
            severity=check.severity,
            docs=check.docs,
            advice=check.advice,
            request=hide(request),
            trace_id=trace_id if is_trace_id(trace_id) else "",
            reproduce=hide(reproduce),
            shortfalls=tuple(hide(shortfall) for shortfall in shortfalls),
            figures=tuple((name, hide(text)) for name, text in figures),
        )

    @property
    def echo(self) -> str:
        """The condition, and what came."""
        if self.verdict in (Verdict.SKIP, Verdict.ERROR):
            return f"{self.condition}, not judged: {self.got}"
        return "; ".join(self.shortfalls) or f"{self.condition}, got {self.got}"

    def strictly(self) -> "Result":
        """The same, with a skip counted as a failure."""
        if self.verdict is not Verdict.SKIP:
            return self
        return replace(self, verdict=Verdict.FAIL, got=f"skipped, which --strict does not allow: {self.got}")


class _Judged:
    """What every report says of its results in the same words, of one gate and of a whole run."""

    __slots__ = ()
    results: tuple[Result, ...]

    @property
    def verdict(self) -> Verdict:
        return combine([result.verdict for result in self.results])

    @property
    def partly(self) -> str:
        """Where nothing fell short and something was skipped, ``partly judged: N skipped``; else empty."""
        skipped = self.count(Verdict.SKIP)
        return f"partly judged: {skipped} skipped" if skipped and self.verdict is Verdict.PASS else ""

    def count(self, verdict: Verdict) -> int:
        """How many checks ended so."""
        return sum(result.verdict is verdict for result in self.results)


@dataclass(frozen=True, slots=True)
class GateReport(_Judged):
    """One gate's results, in the order its checks were written."""

    gate: str
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class RunReport(_Judged):
    """A whole run. ``started`` is seconds since the epoch, ``seconds`` how long it took, ``notes`` stand above it."""

    version: str
    target: str
    started: float
    seconds: float
    results: tuple[Result, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def gates(self) -> tuple[GateReport, ...]:
        names = dict.fromkeys(result.gate for result in self.results)
        return tuple(GateReport(name, tuple(r for r in self.results if r.gate == name)) for name in names)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """One failure fails all; else one error leaves all unjudged; nothing but skips is a skip."""
    for decisive in (Verdict.FAIL, Verdict.ERROR, Verdict.PASS):
        if decisive in verdicts:
            return decisive
    return Verdict.SKIP
