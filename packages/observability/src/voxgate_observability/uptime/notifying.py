"""Tells a gateway's fan-out that a target went down or came back."""

import logging
import time
from collections.abc import Callable
from typing import Final

import httpx

from voxgate_observability.uptime.watching import State

__all__ = ["EVENT_TYPES", "Notifier"]

EVENT_TYPES: Final = {State.DOWN: "uptime.target.down", State.UP: "uptime.target.up"}

ATTEMPTS: Final = 3
"""Tries of one notification; what fails then is in the log, and in the history."""

PAUSE_SECONDS: Final = 2.0
TIMEOUT: Final = 10.0

ACCEPTED: Final = range(200, 300)
"""A redirect is none of them: it is not followed, and where it leads nobody was told anything."""

LATER: Final = frozenset({0, 408, 429, *range(500, 600)})
"""Statuses that may be others the next time; 0 stands for no answer."""

logger = logging.getLogger("voxgate.uptime")


class Notifier:
    """Posts events to ``url``, a gateway's ``/api/voice/fanout``, with the API key ``key``. ``wait`` takes seconds."""

    def __init__(self, url: str, key: str, *, wait: Callable[[float], object]) -> None:
        self._url = url
        self._key = key
        self._wait = wait

    def tell(self, target: str, state: State, reason: str, at: float | None = None) -> bool:
        """Whether the event was accepted. The same change told twice is one event: it has an Idempotency-Key."""
        at = time.time() if at is None else at
        body = {
            "type": EVENT_TYPES[state],
            "subject": target,
            "data": {"url": target, "state": state, "reason": reason},
        }
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": f"uptime-{state}-{at:.3f}"}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                status = httpx.post(self._url, json=body, headers=headers, timeout=TIMEOUT).status_code
                if status in ACCEPTED:
                    return True
                fault = f"status {status}"
            except httpx.HTTPError as error:
                status, fault = 0, type(error).__name__
            logger.warning("a change could not be told", extra={"attempt": attempt, "reason": fault})
            if status not in LATER or attempt == ATTEMPTS:
                return False
            self._wait(PAUSE_SECONDS)
        return False
