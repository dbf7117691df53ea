"""Tells an event sink what happens in one session, without ever waiting and without ever harming the session."""

import logging
from contextvars import Context
from typing import Final

from voxgate_core import Clock, Event, EventSink, Grant, NullSink, SessionClosed
from voxgate_realtime.events import is_commit
from voxgate_realtime.transcript import (
    AUDIO_DELTA,
    INTERESTING,
    SPEECH_STOPPED,
    Fact,
    InputCommitted,
    Misfit,
    ResponseCreated,
    ResponseDone,
    ToolCall,
    Transcript,
    Usage,
    read_fact,
)
from voxgate_realtime.turns import Turns
from voxgate_realtime.voice_events import VoiceEvents

__all__ = ["DEAF", "VoiceFeed"]

DEAF: Final[frozenset[str]] = frozenset()
"""Of a session that has not started, has ended, or has nobody to tell: no message is worth a look."""

_UNTIL_AUDIO: Final = INTERESTING | {AUDIO_DELTA}

logger = logging.getLogger("voxgate.realtime")


class VoiceFeed:
    """Between :meth:`start` and :meth:`end` it publishes to ``sink``, in the ``scope`` of the session's trace.

    :meth:`start`, :meth:`hear` and :meth:`end` answer with the types of upstream messages to be heard from then on: the
    relay gives it those and no others. With a :class:`NullSink` these are none, and nothing is decoded or built.
    """

    __slots__ = ("_clock", "_events", "_misfits", "_scope", "_sink", "_sink_failed", "_source", "_turns", "_usage")

    def __init__(self, sink: EventSink, source: str, clock: Clock, scope: Context) -> None:
        self._sink = sink
        self._source = source
        self._clock = clock
        self._scope = scope
        self._events: VoiceEvents | None = None
        self._turns = Turns()
        self._usage = Usage()
        self._misfits = 0
        self._sink_failed = False

    def start(self, grant: Grant, *, origin: str | None, dialect: str, model: str) -> frozenset[str]:
        """The client was let in."""
        if type(self._sink) is NullSink:  # an heir of it may listen
            return DEAF
        self._events = VoiceEvents(
            self._source, self._clock, session_id=grant.session_id, subject=grant.subject
        )  # fmt: skip
        self._publish(self._events.started(origin=origin, dialect=dialect, model=model))
        return INTERESTING

    def hear(self, kind: str, message: bytes) -> frozenset[str]:
        """An upstream message of a type asked for."""
        if self._events is None:
            return DEAF
        if kind == AUDIO_DELTA:
            self._turns.hear_audio(self._clock.monotonic())
        elif kind == SPEECH_STOPPED:
            self._turns.stop_speech(self._clock.monotonic())
        else:
            fact = read_fact(kind, message)
            if isinstance(fact, Misfit):
                self._misfits += 1
            elif fact is not None:
                self._tell(self._events, fact)
        return _UNTIL_AUDIO if self._turns.awaits_audio else INTERESTING

    def hear_client(self, message: bytes) -> None:
        """A client message, screened. A client that detects no speech says by its commit where the speech ends."""
        if self._events is not None and is_commit(message):
            self._turns.stop_speech(self._clock.monotonic())

    def end(self, summary: SessionClosed) -> frozenset[str]:
        """The client is gone."""
        if self._events is not None:
            self._publish(self._events.ended(summary, turns=self._turns.completed, usage=self._usage))
            self._events = None
            if self._misfits:
                note = "messages of the model server became no events: they did not have the shape of their type"
                self._scope.copy().run(logger.warning, note, extra={"count": self._misfits})
        return DEAF

    def _tell(self, events: VoiceEvents, fact: Fact) -> None:
        turns = self._turns
        match fact:
            case InputCommitted():
                turns.commit(fact.item_id)
            case ResponseCreated():
                turns.begin(fact.response_id)
            case Transcript(role="user"):
                self._publish(events.transcript(fact, turn=turns.of_item(fact.item_id)))
            case Transcript():
                self._publish(events.transcript(fact, turn=turns.of_response(fact.response_id)))
            case ToolCall():
                self._publish(events.tool(fact))
            case ResponseDone():
                turn, waited = turns.complete(fact.response_id)
                self._usage += fact.usage or Usage()
                self._publish(events.turn(fact, turn=turn, waited=waited))

    def _publish(self, event: Event) -> None:
        scope = self._scope.copy()  # a context can be entered once at a time, its copy any time
        try:
            scope.run(self._sink.publish, event)
        except Exception:
            if not self._sink_failed:
                self._sink_failed = True
                scope.run(logger.exception, "the event sink raised, and must not: events of this session are missing")
