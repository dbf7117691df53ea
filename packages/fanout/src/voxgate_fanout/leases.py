"""Keeps the claims in hand of one process: says of each, time and again, that it is still being worked on."""

import asyncio
import logging
from typing import Final

from voxgate_core import Claim, VoxgateError

__all__ = ["EXTEND_SECONDS", "LEASE_SECONDS", "Leases"]

LEASE_SECONDS: Final = 30.0
"""How long a job is its holder's without a sign of life; longer than any delivery may take."""

EXTEND_SECONDS: Final = 8.0
"""Time between two signs of life: three of them may get lost."""

logger = logging.getLogger("voxgate.fanout")


class Leases:
    """One timer for all claims: most are done long before it would matter to any of them."""

    def __init__(self) -> None:
        self._held: set[Claim] = set()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, claim: Claim) -> None:
        """Extend it from now on."""
        self._held.add(claim)

    def let_go(self, claim: Claim) -> None:
        """It is answered, or its holder is gone."""
        self._held.discard(claim)

    async def run(self) -> None:
        """Extend what is held, until cancelled."""
        while True:
            await asyncio.sleep(EXTEND_SECONDS)
            for claim in list(self._held):
                try:
                    if claim in self._held:
                        await claim.extend()
                except VoxgateError as error:
                    logger.warning("a job could not be extended", extra={"lane": claim.lane, "code": error.code})
                except Exception:
                    # The others must not lose their leases for it.
                    logger.exception("a job could not be extended, for a reason that was not foreseen")
