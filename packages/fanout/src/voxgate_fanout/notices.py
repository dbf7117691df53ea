"""Events that the gateway gives by itself about its targets. Pure."""

from typing import Final

from voxgate_core import Event
from voxgate_fanout.event import TARGET_DISABLED, new_event_id
from voxgate_fanout.targets import Target

__all__ = ["SOURCE", "target_disabled"]

SOURCE: Final = "/voxgate/fanout"
"""Their ``source``."""


def target_disabled(target: Target, reason: str, now: float) -> Event:
    """Nothing is sent to the target any more. ``now`` is epoch seconds; neither URL nor secret is told."""
    data = {"target": target.name, "targetId": target.id, "reason": reason}
    return Event(new_event_id(), SOURCE, TARGET_DISABLED, now, target.name, data)
