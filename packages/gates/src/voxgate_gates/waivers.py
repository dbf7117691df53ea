"""Waivers: shortfalls that somebody answers for, until a day. Pure.

A waiver turns a check that fell short into a skipped one, which is never a pass, and says who decided so. After its last
day the check fails again by itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from voxgate_gates.result import Result, RunReport, Verdict

__all__ = ["MAX_DAYS", "Waiver", "apply_waivers"]

MAX_DAYS: Final = 90
"""How far ahead a waiver's last day may lie: longer than a release takes, shorter than everybody's memory."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """``owner`` accepts that ``check`` falls short, for ``reason``, up to and including the day ``expires``."""

    check: str
    owner: str
    reason: str
    expires: date

    def holds_on(self, today: date) -> bool:
        return today <= self.expires

    def is_too_long(self, today: date) -> bool:
        return self.expires > today + timedelta(days=MAX_DAYS)

    def __str__(self) -> str:
        return f"waived by {self.owner} until {self.expires.isoformat()}: {self.reason}"


def apply_waivers(report: RunReport, waivers: Iterable[Waiver], today: date) -> RunReport:
    """The report with every shortfall that is waived on ``today`` skipped, and a note on each waiver to be removed.

    What could not be judged stays so: nobody can answer for what is not known.
    """
    by_check = {waiver.check: waiver for waiver in waivers}
    notes = list(report.notes)
    results = []
    for result in report.results:
        waiver = by_check.get(result.id)
        if waiver is None:
            results.append(result)
            continue
        if not waiver.holds_on(today):
            notes.append(f"The waiver of {result.id} by {waiver.owner} ended on {waiver.expires.isoformat()}.")
        elif result.verdict is Verdict.PASS:
            notes.append(f"{result.id} held: the waiver by {waiver.owner} is no longer needed.")
        results.append(_waived(result, waiver) if waiver.holds_on(today) else result)
    return replace(report, results=tuple(results), notes=tuple(notes))


def _waived(result: Result, waiver: Waiver) -> Result:
    if result.verdict is not Verdict.FAIL:
        return result
    return replace(result, verdict=Verdict.SKIP, got=f"{waiver}; it fell short: {result.echo}", waiver=str(waiver))
