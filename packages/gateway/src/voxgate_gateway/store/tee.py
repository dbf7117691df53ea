"""One event, several sinks."""

from voxgate_core import Event, EventSink

__all__ = ["Tee"]


class Tee:
    """Core's ``EventSink`` that hands each event to all of ``sinks``, in turn. None of them waits or raises."""

    def __init__(self, *sinks: EventSink) -> None:
        self._sinks = sinks

    def publish(self, event: Event) -> None:
        for sink in self._sinks:
            sink.publish(event)
