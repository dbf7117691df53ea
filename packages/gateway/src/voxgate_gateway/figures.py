"""What one gateway process counts: plain numbers, added up as things happen and read when somebody scrapes."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from voxgate_core import ERRORS, Event, Grant, NullObserver, ResumeOutcome, SessionClosed, VoxgateError
from voxgate_fanout import Fanout
from voxgate_gateway.version import VERSION
from voxgate_observability.catalogue import FIRST_AUDIO_BOUNDS, RELAY_BOUNDS, Histogram
from voxgate_observability.exposition import Reading
from voxgate_observability.health import DOWN, Health, Phase
from voxgate_realtime import RealtimeServer

if TYPE_CHECKING:
    from voxgate_gateway.store.service import ConversationStore

__all__ = ["Figures", "fanout_readings", "health_readings", "store_readings"]

ISSUED: Final = "issued"
UNTOLD: Final = "other"
"""Stands for a close code or an error code outside the tables: a model server may send any, and labels are bounded."""

TURN: Final = "voice.turn.completed"

CLOSE_CODES: Final = frozenset({1000, 1001, 1003, 1006, 1007, 1009}) | {kind.close_code for kind in ERRORS.values()}

OUTCOMES: Final = ("delivered", "retried", "spilled", "dead", "unwanted")


class Figures(NullObserver):
    """Core's ``SessionObserver`` and ``EventSink``: hears what happens in sessions, and counts."""

    def __init__(self) -> None:
        self.relay = Histogram(RELAY_BOUNDS)
        self.first_audio = Histogram(FIRST_AUDIO_BOUNDS)
        self._opened = 0
        self._seconds = 0.0
        self._turns = 0
        self._resumes: Counter[str] = Counter({outcome.value: 0 for outcome in ResumeOutcome})
        self._refused: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._decisions: Counter[str] = Counter({ISSUED: 0})
        self._messages: Counter[str] = Counter({"client": 0, "upstream": 0})
        self._bytes: Counter[str] = Counter({"client": 0, "upstream": 0})

    def opened(self, grant: Grant) -> None:
        self._opened += 1

    def resume_asked(self, grant: Grant, outcome: ResumeOutcome) -> None:
        self._resumes[outcome.value] += 1

    def refused(self, error: VoxgateError) -> None:
        self._refused[_known(error.code)] += 1

    def closed(self, summary: SessionClosed) -> None:
        self._closed[str(summary.code) if summary.code in CLOSE_CODES else UNTOLD] += 1
        self._seconds += summary.seconds
        self._messages["client"] += summary.client_messages
        self._messages["upstream"] += summary.upstream_messages
        self._bytes["client"] += summary.client_bytes
        self._bytes["upstream"] += summary.upstream_bytes

    def publish(self, event: Event) -> None:
        """Of the session's events only the end of a turn is counted."""
        if event.type != TURN:
            return
        self._turns += 1
        waited = event.data.get("milliseconds")
        if isinstance(waited, int):
            self.first_audio.observe(waited / 1000)

    def decided(self, refusal: VoxgateError | None) -> None:
        """A token was issued, or refused for this reason."""
        self._decisions[ISSUED if refusal is None else _known(refusal.code)] += 1

    def readings(self, realtime: RealtimeServer) -> Iterable[Reading]:
        """Every figure of sessions and tokens, those of sessions that are still open included."""
        live = realtime.traffic()
        yield Reading("voxgate_build_info", 1, (VERSION,))
        yield Reading(
            "voxgate_sessions_open",
            sum(session.grant is not None and not session.carries for session in realtime.sessions),
        )
        yield Reading("voxgate_sessions_detached", realtime.sessions.detached)
        yield from _by_label("voxgate_session_resumes_total", self._resumes)
        yield Reading("voxgate_sessions_opened_total", self._opened)
        yield from _by_label("voxgate_sessions_refused_total", self._refused)
        yield from _by_label("voxgate_sessions_closed_total", self._closed)
        yield Reading("voxgate_session_seconds_total", self._seconds)
        yield from _by_label("voxgate_token_decisions_total", self._decisions)
        for side, (messages, size) in live.items():
            yield Reading("voxgate_messages_total", self._messages[side] + messages, (side,))
            yield Reading("voxgate_message_bytes_total", self._bytes[side] + size, (side,))
        yield Reading("voxgate_relay_seconds", self.relay)
        yield Reading("voxgate_first_audio_seconds", self.first_audio)
        yield Reading("voxgate_turns_total", self._turns)


def fanout_readings(fanout: Fanout) -> Iterable[Reading]:
    """What fan-out says of itself."""
    stats, summary = fanout.dispatcher.stats, fanout.summary()
    targets = list(fanout.registry)
    disabled = sum(fanout.registry.state(target.id).disabled is not None for target in targets)
    yield Reading("voxgate_fanout_waiting", len(fanout.sink))
    yield Reading("voxgate_fanout_depth", sum(fanout.dispatcher.waiting(target.id) for target in targets))
    yield Reading("voxgate_fanout_full", float(bool(summary["full"])))
    yield Reading("voxgate_fanout_dropped_total", fanout.sink.dropped)
    yield Reading("voxgate_fanout_attempts_total", stats.attempts)
    for outcome in OUTCOMES:
        yield Reading("voxgate_fanout_outcomes_total", getattr(stats, outcome), (outcome,))
    yield Reading("voxgate_fanout_targets", len(targets) - disabled, ("enabled",))
    yield Reading("voxgate_fanout_targets", disabled, ("disabled",))


def store_readings(kept: "ConversationStore") -> Iterable[Reading]:
    """What the store of conversations says of itself."""
    recorder = kept.recorder
    yield Reading("voxgate_conversations_written_total", recorder.written)
    yield Reading("voxgate_conversations_dropped_total", recorder.dropped)
    yield Reading("voxgate_conversations_waiting", len(recorder))


def health_readings(health: Health) -> Iterable[Reading]:
    """The phase, and the checks as they were last judged."""
    for phase in Phase:
        yield Reading("voxgate_phase", float(health.phase is phase), (phase.value,))
    for name, verdict in health.last().items():
        yield Reading("voxgate_health_check_up", float(verdict["status"] != DOWN), (name,))


def _known(code: str) -> str:
    return code if code in ERRORS else UNTOLD


def _by_label(name: str, counts: Counter[str]) -> Iterable[Reading]:
    return [Reading(name, count, (label,)) for label, count in sorted(counts.items())]
