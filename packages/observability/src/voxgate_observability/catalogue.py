"""Every metric there is, as a table: the scrape, the reference page and the alert rules read the same one. Pure."""

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["FIRST_AUDIO_BOUNDS", "METRICS", "RELAY_BOUNDS", "Histogram", "Kind", "Metric"]


class Kind(StrEnum):
    """Prometheus metric types."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """``name`` is the whole name as it is scraped; a counter's ends in ``_total``. ``labels`` are few and bounded."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


class Histogram:
    """Counts by upper bound, as plain numbers: one observation costs a bisection and two additions."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value; one equal to a bound belongs below it, as Prometheus has it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """``(le, count)`` of every bucket, each counting those below it too; the last is ``+Inf``."""
        running, buckets = 0, []
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            running += count
            buckets.append((bound, float(running)))
        return buckets


RELAY_BOUNDS: Final = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1)
"""Seconds: the relay adds some ten microseconds; a hundred milliseconds are heard."""

FIRST_AUDIO_BOUNDS: Final = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Seconds from the user's last word to the model's first: past one, people begin to talk again."""

METRICS: Final = (
    Metric("voxgate_build_info", Kind.GAUGE, "Always 1; the label tells the version that runs.", ("version",)),
    Metric("voxgate_phase", Kind.GAUGE, "1 for the phase this gateway is in, 0 for the others.", ("phase",)),
    Metric(
        "voxgate_health_check_up", Kind.GAUGE, "1 for a health check that is up, 0 for one that is down.", ("check",)
    ),
    Metric("voxgate_sessions_open", Kind.GAUGE, "Voice sessions that are open now, with a client or waiting for it."),
    Metric("voxgate_sessions_detached", Kind.GAUGE, "Those of them that wait for their client to come back."),
    Metric(
        "voxgate_session_resumes_total",
        Kind.COUNTER,
        "Clients that asked for their session back, by what became of it: resumed, unknown or incomplete.",
        ("outcome",),
    ),
    Metric("voxgate_sessions_opened_total", Kind.COUNTER, "Voice sessions that were let in."),
    Metric("voxgate_sessions_refused_total", Kind.COUNTER, "Sockets that were refused, by error code.", ("code",)),
    Metric("voxgate_sessions_closed_total", Kind.COUNTER, "Voice sessions that ended, by close code.", ("code",)),
    Metric("voxgate_session_seconds_total", Kind.COUNTER, "Seconds that ended sessions lived, all together."),
    Metric(
        "voxgate_token_decisions_total",
        Kind.COUNTER,
        "Requests for a token, by what became of them: issued, or the code of the refusal.",
        ("decision",),
    ),
    Metric("voxgate_messages_total", Kind.COUNTER, "Messages relayed in sessions, by who sent them.", ("side",)),
    Metric("voxgate_message_bytes_total", Kind.COUNTER, "Bytes of those messages, by who sent them.", ("side",)),
    Metric(
        "voxgate_relay_seconds",
        Kind.HISTOGRAM,
        "What the relay adds to a message, from read to written, seconds; every 64th message is timed.",
    ),
    Metric(
        "voxgate_first_audio_seconds",
        Kind.HISTOGRAM,
        "From the user's last word to the model's first, seconds, for each turn answered in speech.",
    ),
    Metric("voxgate_turns_total", Kind.COUNTER, "Turns that were completed."),
    Metric("voxgate_fanout_waiting", Kind.GAUGE, "Events accepted that wait in memory to be made durable."),
    Metric("voxgate_fanout_depth", Kind.GAUGE, "Deliveries this process holds that have not succeeded yet."),
    Metric("voxgate_fanout_full", Kind.GAUGE, "1 while no more events are accepted, because too many are undelivered."),
    Metric("voxgate_fanout_dropped_total", Kind.COUNTER, "Voice events lost because they could not be stored in time."),
    Metric("voxgate_fanout_attempts_total", Kind.COUNTER, "Deliveries that were attempted."),
    Metric("voxgate_fanout_outcomes_total", Kind.COUNTER, "What became of deliveries.", ("outcome",)),
    Metric("voxgate_fanout_targets", Kind.GAUGE, "Targets that events go to, by state.", ("state",)),
    Metric("voxgate_conversations_written_total", Kind.COUNTER, "Events of conversations that were stored."),
    Metric(
        "voxgate_conversations_dropped_total",
        Kind.COUNTER,
        "Events of conversations that were lost, because the database was slow or gone.",
    ),
    Metric("voxgate_conversations_waiting", Kind.GAUGE, "Events of conversations that wait to be stored."),
)
"""In the order they are scraped. What has not happened yet stands at 0, so that a rate can be taken of it."""
