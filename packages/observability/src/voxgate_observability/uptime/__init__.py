"""Whether a deployment can be reached and keeps its word: one look, a watch with a memory, and a table of outages."""

from voxgate_observability.uptime.history import History, Outage, Summary
from voxgate_observability.uptime.probe import look, look_at_url
from voxgate_observability.uptime.verdict import Budget, Look, Verdict, judge
from voxgate_observability.uptime.watching import State, Watch

__all__ = [
    "Budget",
    "History",
    "Look",
    "Outage",
    "State",
    "Summary",
    "Verdict",
    "Watch",
    "judge",
    "look",
    "look_at_url",
]
