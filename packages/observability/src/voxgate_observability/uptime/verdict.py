"""Judges one look at a health URL. Pure: what came is given, nothing is asked.

A parking page answers 200 to everything, so a status alone proves nothing: the answer must be in the envelope.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Budget", "Look", "Verdict", "judge"]

_TRACE_DIGITS: Final = frozenset("0123456789abcdef")
_TRACE_LENGTH: Final = 32
_WELL: Final = 200


@dataclass(frozen=True, slots=True)
class Budget:
    """What an answer may cost: ``seconds`` from asking to the last byte, ``days`` a certificate must still have."""

    seconds: float = 2.0
    days: float = 14.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found. ``fault`` says why there was no answer; ``days_left`` is ``None`` without TLS."""

    status: int | None = None
    body: bytes = b""
    seconds: float = 0.0
    days_left: float | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``faults`` are sentences; none means up. ``seconds`` is how long the answer took."""

    faults: tuple[str, ...]
    seconds: float
    days_left: float | None = None

    @property
    def is_up(self) -> bool:
        return not self.faults


def judge(look: Look, budget: Budget) -> Verdict:
    """Everything that is wrong with an answer: its status, its envelope, its time, its certificate."""
    faults = []
    if look.status is None:
        faults.append(look.fault or "no answer came")
    else:
        if look.status != _WELL:
            faults.append(f"status {look.status}, not {_WELL}")
        faults += _envelope_faults(look.body)
        if look.seconds > budget.seconds:
            faults.append(f"the answer took {look.seconds:.2f} s, more than {budget.seconds:g} s")
    if look.days_left is not None and look.days_left < budget.days:
        faults.append(f"the certificate ends in {look.days_left:.1f} days, less than {budget.days:g}")
    return Verdict(tuple(faults), look.seconds, look.days_left)


def _envelope_faults(body: bytes) -> list[str]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ["the body is not JSON: is it this gateway that answers?"]
    if not isinstance(value, Mapping):
        return ["the body is not a JSON object"]
    faults = [] if value.get("success") is True else ["success is not true"]
    trace_id = value.get("traceId")
    if not (isinstance(trace_id, str) and len(trace_id) == _TRACE_LENGTH and set(trace_id) <= _TRACE_DIGITS):
        faults.append("traceId is not 32 hex digits")
    if value.get("status") not in ("ok", "degraded"):
        faults.append("status is neither ok nor degraded")
    return faults
