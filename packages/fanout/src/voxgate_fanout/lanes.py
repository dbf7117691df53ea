"""What lanes are called: one for events that were just accepted, and those of each target. Pure."""

from typing import Final

from voxgate_core import Event
from voxgate_fanout.targets import Target, order_key, partition

__all__ = ["EVENTS", "PARTITIONS", "lane_of", "lanes_of", "ordered_lane", "target_of"]

EVENTS: Final = "events"
"""Where accepted events lie until they are with their targets, or in a target's own lane."""

PARTITIONS: Final = 8
"""Lanes of a target that wants its events in order: keys share them, and one that fails holds up its own lane only."""

_PLAIN: Final = "t-"
_ORDERED: Final = "o-"


def lane_of(target_id: str) -> str:
    """The lane of what a target could not be given at once."""
    return _PLAIN + target_id


def ordered_lane(target: Target, event: Event) -> str:
    """The lane in which the event keeps its order. The target must have an ``order_by``."""
    key = order_key(target, event) or ""
    return f"{_ORDERED}{target.id}-{partition(key, PARTITIONS)}"


def lanes_of(target: Target) -> tuple[str, ...]:
    """Every lane a target may have."""
    ordered = tuple(f"{_ORDERED}{target.id}-{number}" for number in range(PARTITIONS))
    return (lane_of(target.id), *ordered)


def target_of(lane: str) -> str | None:
    """The id of the target whose lane this is; ``None`` for a lane of no target."""
    if lane.startswith(_PLAIN):
        return lane[len(_PLAIN) :] or None
    return lane[len(_ORDERED) :].rpartition("-")[0] or None if lane.startswith(_ORDERED) else None
