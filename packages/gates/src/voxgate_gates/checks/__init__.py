"""Every check there is, gate by gate. A new module of checks is added to the tuple below, and nowhere else."""

from voxgate_gates.check import Check
from voxgate_gates.checks import (
    build_fanout,
    build_health,
    data_endpoints,
    data_upkeep,
    docs,
    realtime,
    realtime_resume,
    realtime_turns,
    security,
    security_http,
)

__all__ = ["ALL_CHECKS", "GATES"]

ALL_CHECKS: tuple[Check, ...] = (
    *security.suite,
    *security_http.suite,
    *realtime.suite,
    *realtime_turns.suite,
    *realtime_resume.suite,
    *build_fanout.suite,
    *build_health.suite,
    *data_endpoints.suite,
    *data_upkeep.suite,
    *docs.suite,
)

GATES: tuple[str, ...] = tuple(dict.fromkeys(check.gate for check in ALL_CHECKS))
