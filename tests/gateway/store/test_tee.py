"""The tee: every sink gets every event."""

from voxgate_core import Event
from voxgate_gateway.store.tee import Tee


class Sink:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, event: Event) -> None:
        self.events.append(event)


def test_every_sink_gets_every_event_in_order() -> None:
    sinks = [Sink(), Sink()]
    tee = Tee(*sinks)
    events = [Event(f"evt_{number}", "/voxgate", "voice.x", 1.0) for number in range(3)]
    for event in events:
        tee.publish(event)
    assert [sink.events for sink in sinks] == [events, events]
