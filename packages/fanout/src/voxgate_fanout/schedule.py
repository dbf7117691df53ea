"""When to try again, and when a target has failed for too long. Pure.

Source of the delays: the schedule that Standard Webhooks recommends ("Deliverability and reliability").
"""

from typing import Final

from voxgate_fanout.outcome import Outcome, OutcomeKind

__all__ = ["DELAYS", "DISABLE_AFTER", "JITTER", "failing_too_long", "next_attempt"]

DELAYS: Final = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0)
"""Seconds before each attempt, counted from the end of the one before: at once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h,
14 h. When all have failed the event becomes a dead letter."""

JITTER: Final = 0.2
"""Part of a delay that chance may add to it, so that events which failed together do not come back together."""

DISABLE_AFTER: Final = 5 * 86_400.0
"""Seconds that a target may fail without one success in between; then it is disabled."""


def next_attempt(outcome: Outcome, attempt: int, *, now: float, random: float) -> float | None:
    """Epoch seconds of the try that follows ``attempt``, which is 1 for the first; ``None`` when there is none left.

    ``random`` is 0 or more and below 1. A pause that the target asked for counts where it is longer than the delay.
    None is left after a delivery, after GONE, and after the last attempt of the schedule. Raises ``ValueError`` for an
    ``attempt`` below 1.
    """
    if attempt < 1:
        raise ValueError("attempts are counted from 1")
    if outcome.kind is not OutcomeKind.RETRY or attempt >= len(DELAYS):
        return None
    delay = DELAYS[attempt] * (1.0 + JITTER * random)
    return now + max(delay, outcome.retry_after or 0.0)


def failing_too_long(failing_since: float | None, now: float) -> bool:
    """Whether a target that has failed without a break since ``failing_since`` (epoch seconds) is to be disabled."""
    return failing_since is not None and now - failing_since >= DISABLE_AFTER
