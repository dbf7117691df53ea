"""Lets a saboteur spoil a run against the fake gateway, which is honest and quick."""

from dataclasses import replace

from tests.gates.samples import fake_gateway
from voxgate_gates import ALL_CHECKS, RunReport, run_checks
from voxgate_gates.saboteurs import Saboteur
from voxgate_gates.saboteurs.proxy import lying_proxy
from voxgate_gates.saboteurs.selftest import Caught, judge

__all__ = ["checks_of", "spoiled"]


def checks_of(gate: str) -> set[str]:
    return {check.id for check in ALL_CHECKS if check.gate == gate}


async def spoiled(saboteur: Saboteur, *more: str) -> Caught:
    """What the saboteur's own check, and ``more``, say through a proxy that lies."""
    assert saboteur.lie is not None
    checks = [check for check in ALL_CHECKS if check.id in (saboteur.check, *more)]
    async with fake_gateway() as target, lying_proxy(target.url, saboteur.lie, target) as url:
        report: RunReport = await run_checks(replace(target, url=url), checks, version="test")
    return judge(saboteur, report)
