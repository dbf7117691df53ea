"""Lets a token open one session: the first to write its ``jti`` wins, wherever it runs."""

import hashlib
from typing import Final

from voxgate_core import Clock, Grant, KeyValue, VoxgateError

__all__ = ["ReplayGuard"]

PREFIX: Final = "security.used."
SKEW_SECONDS: Final = 5
"""How much longer than the token a record lives, so that a store whose clock runs ahead does not forget it early."""


class ReplayGuard:
    """Spends tokens by ``jti``, never by their text: one token has many spellings, and one id."""

    def __init__(self, store: KeyValue, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def spend(self, grant: Grant) -> None:
        """Record the use of a verified token.

        Raises :class:`VoxgateError` ``token_replayed`` when it was used before, ``unavailable`` when the record
        can't be made: a token is never taken for unused because nobody could look.
        """
        remaining = max(grant.expires_at - self._clock.now(), 0) + SKEW_SECONDS
        if not await self._store.put_if_absent(_key(grant), b"", ttl=remaining):
            raise VoxgateError("token_replayed")

    async def check(self, grant: Grant) -> None:
        """Raise :class:`VoxgateError` ``token_replayed`` for a token that was spent, ``unavailable`` when unknown.

        Where a token may open several sessions, one that was spent elsewhere opens none any more: or what was seen
        in use once, by whoever reads along, would be good for more.
        """
        if await self._store.get(_key(grant)) is not None:
            raise VoxgateError("token_replayed")


def _key(grant: Grant) -> str:
    # An id may hold dots anywhere; keys of a store may not.
    return PREFIX + hashlib.sha256(grant.token_id.encode()).hexdigest()
