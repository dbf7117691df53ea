import json
import logging
from contextvars import copy_context

import pytest

from tests.realtime import messages
from tests.realtime.messages import BrokenSink, KeptEvents
from voxgate_core import (
    SESSION_ENDED,
    TRANSCRIPT_COMPLETED,
    TURN_COMPLETED,
    EventSink,
    Grant,
    ManualClock,
    NullSink,
    SessionClosed,
)
from voxgate_realtime.transcript import AUDIO_DELTA, INTERESTING
from voxgate_realtime.voice_feed import DEAF, VoiceFeed

GRANT = Grant("ada", "sess-1", "jti-1", None, frozenset(), 0, 100)
SUMMARY = SessionClosed("sess-1", "ada", 1000, "", 1.0, 0, 0, 0, 0)


def make(sink: EventSink, clock: ManualClock | None = None) -> VoiceFeed:
    return VoiceFeed(sink, "/voxgate", clock or ManualClock(), copy_context())


def start(feed: VoiceFeed) -> frozenset[str]:
    return feed.start(GRANT, origin=None, dialect="native", model="m")


def tell(feed: VoiceFeed, *said: bytes) -> frozenset[str]:
    """Give each message as the relay does: only if its type was asked for."""
    wanted = INTERESTING
    for message in said:
        kind = json.loads(message)["type"]
        if kind in wanted:
            wanted = feed.hear(kind, message)
    return wanted


def test_a_whole_turn_is_told_in_order() -> None:
    sink = KeptEvents()
    feed = make(sink)
    assert start(feed) == INTERESTING
    tell(feed, *messages.whole_turn(1), *messages.whole_turn(2))
    assert feed.end(SUMMARY) == DEAF
    turn = ["transcript.completed", "turn.completed", "transcript.completed"]
    assert sink.kinds == ["session.started", *turn, *turn, "session.ended"]
    assert [said["turn"] for said in sink.data(TRANSCRIPT_COMPLETED)] == [1, 1, 2, 2]
    [ended] = sink.data(SESSION_ENDED)
    assert (ended["turns"], ended["usage"]) == (2, {"inputTokens": 60, "outputTokens": 24, "totalTokens": 84})


def test_audio_is_asked_for_only_until_an_answer_is_heard() -> None:
    feed = make(KeptEvents())
    start(feed)
    assert AUDIO_DELTA not in tell(feed, messages.speech_stopped(), messages.committed())
    assert tell(feed, messages.created()) == INTERESTING | {AUDIO_DELTA}
    assert feed.hear(AUDIO_DELTA, b"not decoded") == INTERESTING


@pytest.mark.parametrize("by_commit", [True, False])
def test_the_wait_of_the_user_is_told_in_milliseconds(by_commit: bool) -> None:
    sink, clock = KeptEvents(), ManualClock()
    feed = make(sink, clock)
    start(feed)
    if by_commit:
        feed.hear_client(messages.COMMIT.encode())
    else:
        tell(feed, messages.speech_stopped())
    clock.advance(0.125)
    tell(feed, messages.created())
    clock.advance(0.25)
    feed.hear(AUDIO_DELTA, messages.audio())
    tell(feed, messages.done())
    [turn] = sink.data(TURN_COMPLETED)
    assert turn["milliseconds"] == 375


def test_other_client_events_end_no_speech() -> None:
    sink = KeptEvents()
    feed = make(sink)
    start(feed)
    feed.hear_client(b'{"type":"input_audio_buffer.append","audio":""}')
    assert AUDIO_DELTA not in tell(feed, messages.created())


def test_nobody_to_tell_means_nothing_is_asked_for() -> None:
    feed = make(NullSink())
    assert start(feed) == DEAF
    feed.hear_client(messages.COMMIT.encode())
    assert feed.end(SUMMARY) == DEAF


def test_an_heir_of_the_null_sink_is_somebody_to_tell() -> None:
    class Heir(NullSink):
        """Does more than what it is derived from."""

    assert start(make(Heir())) == INTERESTING


def test_a_session_that_never_started_has_no_end() -> None:
    sink = KeptEvents()
    feed = make(sink)
    feed.hear_client(messages.COMMIT.encode())
    assert feed.hear("response.done", messages.done()) == DEAF
    feed.end(SUMMARY)
    assert sink.events == []


def test_nothing_follows_the_end() -> None:
    sink = KeptEvents()
    feed = make(sink)
    start(feed)
    feed.end(SUMMARY)
    feed.end(SUMMARY)
    assert feed.hear("response.done", messages.done()) == DEAF
    assert sink.kinds == ["session.started", "session.ended"]


def test_misfits_become_no_events_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    sink = KeptEvents()
    feed = make(sink)
    start(feed)
    for _ in range(3):
        assert feed.hear("response.done", b'{"type":"response.done","response":"secret words"}') == INTERESTING
    feed.end(SUMMARY)
    assert sink.kinds == ["session.started", "session.ended"]
    [record] = caplog.records
    assert (record.levelno, record.__dict__["count"]) == (logging.WARNING, 3)
    assert "secret" not in caplog.text


def test_a_sink_that_raises_is_logged_once_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    sink = BrokenSink()
    feed = make(sink)
    start(feed)
    tell(feed, *messages.whole_turn())
    feed.end(SUMMARY)
    assert sink.asked == 5
    [record] = caplog.records
    assert (record.levelno, record.name) == (logging.ERROR, "voxgate.realtime")
    assert record.exc_info is not None
