"""Events that leave the gateway, as CloudEvents 1.0 attributes, and the sink that takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

__all__ = [
    "SESSION_ENDED",
    "SESSION_STARTED",
    "TOOL_CALLED",
    "TRANSCRIPT_COMPLETED",
    "TURN_COMPLETED",
    "Event",
    "EventSink",
    "NullSink",
]

# Types of the events of a voice session: the relay publishes them, the conversation store and targets understand them.
SESSION_STARTED: Final = "voice.session.started"
SESSION_ENDED: Final = "voice.session.ended"
TRANSCRIPT_COMPLETED: Final = "voice.transcript.completed"
TURN_COMPLETED: Final = "voice.turn.completed"
TOOL_CALLED: Final = "voice.tool.called"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``time`` is seconds since the epoch; ``data`` is JSON data.

    Attribute names are those of CloudEvents 1.0, section "Context Attributes".
    """

    id: str
    source: str
    type: str
    time: float
    subject: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)


class EventSink(Protocol):
    """Takes events. ``publish`` never waits and never raises: the caller may be relaying audio."""

    def publish(self, event: Event) -> None: ...


class NullSink:
    """The sink before anything is wired."""

    def publish(self, event: Event) -> None:
        return None
