"""What a verified token allows. Made by security, obeyed by realtime."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

__all__ = ["Grant", "Leash", "session_of_token"]

MARK: Final = "."
"""Between the session id in a token and what tells its connections apart. No id that voxgate issues holds one."""


@dataclass(frozen=True, slots=True)
class Leash:
    """Limits that ride inside a token. ``None`` means the deployment's own limit applies.

    ``seconds`` bounds a session's life, and is the one limit that the gateway holds a session to. ``tokens`` (model
    tokens), ``spend`` (US dollars) and ``session`` (settings that came with a client secret) are carried along.
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

    def for_connection(self) -> "Grant":
        """The same with a session id of its own, for one of the connections of a token that opens several."""
        return replace(self, session_id=f"{self.session_id}{MARK}{secrets.token_hex(8)}")


def session_of_token(session_id: str) -> str:
    """The session id in the token behind ``session_id``, which may be that of one connection."""
    return session_id.partition(MARK)[0]
