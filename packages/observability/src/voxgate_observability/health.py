"""Named health checks: each timed, bounded and cached, so that whoever asks can neither wait long nor do harm by asking.

A check that is ``needed`` takes the whole gateway out of rotation when it is down; any other only says so. Where a
gateway stands in its life is a state of its own: one that drains is healthy, and takes nobody new.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["DOWN", "OK", "Health", "HealthCheck", "Phase"]

OK: Final = "ok"
DOWN: Final = "down"

SECONDS: Final = 1.0
"""How long a check may take before it counts as down: load balancers ask every few seconds."""

KEPT_SECONDS: Final = 0.5
"""How long a good answer holds. A bad one is looked at again at once, so that nobody stays out longer than need be."""


class Phase(StrEnum):
    """Where a gateway stands in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """``look`` returns the check's figures, its ``status`` among them where that is not ``ok``; raising means down.

    ``seconds`` bounds one look, ``kept`` is how long its good answer holds; both are seconds. ``holds`` says at no cost
    whether a good answer may still be given: a connection that is known to be gone need not be waited for.
    """

    name: str
    look: Callable[[], Awaitable[Mapping[str, object]]]
    needed: bool = True
    seconds: float = SECONDS
    kept: float = KEPT_SECONDS
    holds: Callable[[], bool] = lambda: True


@dataclass(slots=True)
class _Kept:
    lock: asyncio.Lock
    verdict: dict[str, object] | None = None
    until: float = 0.0


class Health:
    """The checks of one process. ``phase`` is set by whoever starts and stops it."""

    def __init__(self, checks: Sequence[HealthCheck], *, now: Callable[[], float] = time.monotonic) -> None:
        self.phase = Phase.STARTING
        self._checks = tuple(checks)
        self._now = now
        self._kept = {check.name: _Kept(asyncio.Lock()) for check in checks}

    async def judge(self) -> dict[str, dict[str, object]]:
        """Every check by name: ``{status, seconds, …}``, ``seconds`` being how long the look took. Raises nothing."""
        verdicts = await asyncio.gather(*(self._judge(check) for check in self._checks))
        return {check.name: verdict for check, verdict in zip(self._checks, verdicts, strict=True)}

    def failing(self, verdicts: Mapping[str, Mapping[str, object]]) -> list[str]:
        """The needed checks that are down, in their order."""
        return [check.name for check in self._checks if check.needed and verdicts[check.name]["status"] == DOWN]

    def last(self) -> dict[str, dict[str, object]]:
        """The verdicts that were found last, of checks that were looked at: asks nobody."""
        return {name: kept.verdict for name, kept in self._kept.items() if kept.verdict is not None}

    async def _judge(self, check: HealthCheck) -> dict[str, object]:
        kept = self._kept[check.name]
        async with kept.lock:  # whoever asks meanwhile gets the same answer
            is_good = kept.verdict is not None and kept.verdict["status"] != DOWN
            if kept.verdict is None or not (is_good and self._now() < kept.until and check.holds()):
                kept.verdict = await self._look(check)
                kept.until = self._now() + check.kept
            return kept.verdict

    async def _look(self, check: HealthCheck) -> dict[str, object]:
        began = self._now()
        found: dict[str, object] = {"status": OK}
        try:
            async with asyncio.timeout(check.seconds):
                found.update(await check.look())
        except TimeoutError:
            found = {"status": DOWN, "reason": f"no answer within {check.seconds:g} s"}
        except Exception as error:
            # Only the kind: what a driver says may hold an address or a password.
            found = {"status": DOWN, "reason": type(error).__name__}
        return {**found, "seconds": round(self._now() - began, 4)}
