"""Says so where a target fell short of nothing but an environment that nobody named.

A target is held to prod unless it is told otherwise, and a gateway in dev, such as `voxgate serve` makes on a laptop, lets
tokens live longer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from voxgate_gates import __version__
from voxgate_gates.check import Check
from voxgate_gates.result import RunReport, Verdict
from voxgate_gates.runner import run_checks
from voxgate_gates.target import TOKEN_TTL, Target

__all__ = ["assumption_note"]

LAXEST: Final = max(TOKEN_TTL, key=lambda name: TOKEN_TTL[name])
"""The environment in which tokens may live longest."""


async def assumption_note(report: RunReport, target: Target, checks: Sequence[Check]) -> str:
    """A sentence where only lifetimes of tokens fell short, and would not in :data:`LAXEST`; empty elsewhere.

    Those checks are asked again to find out, without a trace in the report.
    """
    fallen = {result.id for result in report.results if result.verdict is Verdict.FAIL}
    again = [check for check in checks if check.id in fallen and "[TTL_LIMIT]" in str(check.condition)]
    if not fallen or len(again) < len(fallen):
        return ""
    other = await run_checks(replace(target, environment=LAXEST), again, version=__version__)
    if other.verdict is not Verdict.PASS:
        return ""
    return (
        f"Only how long tokens live fell short of {target.environment}, which a target is held to unless told otherwise; "
        f"for {LAXEST} it would do. If this is a gateway in {LAXEST}, judge it with --env {LAXEST}."
    )
