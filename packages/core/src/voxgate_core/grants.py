"""What a verified token allows. Made by security, obeyed by realtime."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Grant", "Leash"]


@dataclass(frozen=True, slots=True)
class Leash:
    """Limits that ride inside a token. ``None`` means the deployment's own limit applies.

    ``seconds`` bounds a session's life, ``tokens`` its model tokens, ``spend`` its cost in US dollars,
    ``session`` holds session settings that the client may not change.
    """

    seconds: int | None = None
    tokens: int | None = None
    spend: float | None = None
    session: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grant:
    """One verified token. ``expires_at`` is seconds since the epoch; ``origin`` is ``None`` when unbound."""

    subject: str
    session_id: str
    token_id: str
    origin: str | None
    scope: frozenset[str]
    issued_at: int
    expires_at: int
    leash: Leash = field(default_factory=Leash)
