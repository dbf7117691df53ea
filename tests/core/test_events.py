from voxgate_core import Event, EventSink, NullSink

SESSION_ENDED = Event(id="e1", source="/gateway", type="session.ended", time=1_700_000_000.0)


class RecordingSink:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, event: Event) -> None:
        self.events.append(event)


def test_an_event_needs_neither_subject_nor_data() -> None:
    assert (SESSION_ENDED.subject, dict(SESSION_ENDED.data)) == (None, {})


def test_two_events_share_no_default_data() -> None:
    other = Event(id="e2", source="/gateway", type="session.ended", time=0.0)
    assert other.data is not SESSION_ENDED.data


def test_a_recording_sink_and_the_null_sink_fit_the_port() -> None:
    recording = RecordingSink()
    sinks: list[EventSink] = [recording, NullSink()]
    for sink in sinks:
        sink.publish(SESSION_ENDED)
    assert recording.events == [SESSION_ENDED]
