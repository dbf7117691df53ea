"""Signs one event for one target and has it sent."""

import logging
from dataclasses import dataclass
from typing import Final, Protocol

from voxgate_core import Clock
from voxgate_fanout.delivery import Delivery
from voxgate_fanout.event import CONTENT_TYPE
from voxgate_fanout.outcome import Outcome, OutcomeKind, failed
from voxgate_fanout.records import Item
from voxgate_fanout.signing import secret_key, signed_headers
from voxgate_fanout.targets import Target, live_secrets

__all__ = ["Postman", "Sender", "Stats"]

TRUSTED: Final = ("environment", "stub")
"""Where a target was set up whose address the operator has configured."""

logger = logging.getLogger("voxgate.fanout")


class Sender(Protocol):
    """Delivers over the network; :class:`voxgate_fanout.Deliverer` is one."""

    async def deliver(self, delivery: Delivery) -> Outcome: ...


@dataclass(slots=True)
class Stats:
    """What one process has done since it began; plain counts, read by whoever reports."""

    attempts: int = 0
    delivered: int = 0
    retried: int = 0
    spilled: int = 0
    dead: int = 0
    unwanted: int = 0


class Postman:
    """Counts attempts and deliveries in ``stats``."""

    def __init__(self, sender: Sender, clock: Clock, stats: Stats) -> None:
        self._sender = sender
        self._clock = clock
        self._stats = stats
        self._keys: dict[str, tuple[Target, float, tuple[bytes, ...]]] = {}

    async def attempt(self, target: Target, item: Item) -> Outcome:
        """Deliver once. Raises nothing but ``CancelledError``: what can't be sent has failed like any other attempt."""
        self._stats.attempts += 1
        now = self._clock.now()
        try:
            headers = signed_headers(item.id, item.body, self._signing_keys(target, now), now)
            headers["Content-Type"] = CONTENT_TYPE
            trusted = target.managed_by in TRUSTED
            outcome = await self._sender.deliver(Delivery(target.url, item.body, headers, target.timeout, trusted))
        except Exception as error:
            # Only the kind: the message may hold the URL, and that its secrets.
            logger.error(
                "an event could not be sent, for a reason that was not foreseen",
                extra={"target": target.name, "event": item.id, "kind": type(error).__name__},
            )
            return failed("internal error", 0.0)
        if outcome.kind is OutcomeKind.DELIVERED:
            self._stats.delivered += 1
        return outcome

    def forget(self, target_id: str) -> None:
        """The target was removed."""
        self._keys.pop(target_id, None)

    def _signing_keys(self, target: Target, now: float) -> tuple[bytes, ...]:
        """The keys of the target's live secrets, decoded once; anew when the target changed or a secret expired."""
        known = self._keys.get(target.id)
        if known is None or known[0] is not target or known[1] <= now:
            live = live_secrets(target, now)
            until = min((secret.expires_at for secret in live if secret.expires_at is not None), default=float("inf"))
            known = self._keys[target.id] = (target, until, tuple(secret_key(secret.value) for secret in live))
        return known[2]
