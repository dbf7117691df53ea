"""What one delivery attempt came to, judged from its status and headers. Pure.

Sources: Standard Webhooks ("Deliverability and reliability": 2xx delivers, 410 ends); RFC 9110 section 10.2.3
(``Retry-After``) and 5.6.7 (dates).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

__all__ = ["MAX_REASON", "MAX_RETRY_AFTER", "Outcome", "OutcomeKind", "failed", "judge"]

MAX_RETRY_AFTER: Final = 86_400.0
"""Seconds: a target that asks for a longer pause is asked again after a day."""

MAX_REASON: Final = 200
"""Characters of a reason; what is longer is cut."""

_is_seconds = re.compile(r"[0-9]+").fullmatch
_is_date = re.compile(r"[A-Z][a-z]+,? [A-Za-z0-9 :+-]+").fullmatch
_unprintable = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class OutcomeKind(StrEnum):
    """What to do next."""

    DELIVERED = "delivered"  # nothing
    RETRY = "retry"  # try again, on schedule
    GONE = "gone"  # never send to this target again


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt. ``seconds`` is how long it took, ``retry_after`` the pause the target asked for, in seconds.

    ``status`` is ``None`` when there was no answer. ``reason`` may be stored and shown: it holds nothing of the answer
    but its status.
    """

    kind: OutcomeKind
    status: int | None
    reason: str
    retry_after: float | None
    seconds: float


def judge(status: int, headers: Mapping[str, str], *, now: float, seconds: float) -> Outcome:
    """The outcome of an attempt that was answered. ``now`` is epoch seconds, to read a ``Retry-After`` that is a date.

    A redirect is not followed: it would carry the event to an address that nobody has checked.
    """
    if 200 <= status < 300:
        return Outcome(OutcomeKind.DELIVERED, status, f"HTTP {status}", None, seconds)
    if status == 410:
        return Outcome(OutcomeKind.GONE, status, "HTTP 410: the target wants no more events", None, seconds)
    reason = f"HTTP {status}: redirects are not followed" if 300 <= status < 400 else f"HTTP {status}"
    return Outcome(OutcomeKind.RETRY, status, reason, _retry_after(headers, now), seconds)


def failed(reason: str, seconds: float) -> Outcome:
    """The outcome of an attempt without an answer. ``reason`` says why, in the sender's words, with no secret."""
    return Outcome(OutcomeKind.RETRY, None, _unprintable.sub(" ", reason)[:MAX_REASON], None, seconds)


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from now, between 0 and :data:`MAX_RETRY_AFTER`; ``None`` when absent or unreadable."""
    text = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    if _is_seconds(text) is not None:
        # Before int(): it refuses thousands of digits, and any ten of them are past the bound already.
        return MAX_RETRY_AFTER if len(text.lstrip("0")) > 9 else min(float(text), MAX_RETRY_AFTER)
    if _is_date(text) is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:  # asctime names no zone; RFC 9110 section 5.6.7 means UTC
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment.timestamp() - now, 0.0), MAX_RETRY_AFTER)
