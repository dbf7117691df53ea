"""Tells the session directory which sessions this node holds, without the relay ever waiting for it."""

import asyncio
import logging
from collections import deque
from typing import Final

from voxgate_core import Grant, NullObserver, SessionClosed, SessionDirectory, VoxgateError, session_of_token

__all__ = ["SessionPlaces"]

MAX_BEHIND: Final = 10_000
"""Words to the directory that wait; the next one is dropped. A session that is not listed can't be found, no more."""

logger = logging.getLogger("voxgate.gateway")


class SessionPlaces(NullObserver):
    """Core's ``SessionObserver`` in front of a directory; :meth:`run` does the talking."""

    def __init__(self, directory: SessionDirectory) -> None:
        self._directory = directory
        self._words: deque[tuple[str, bool]] = deque()
        self._more = asyncio.Event()

    def opened(self, grant: Grant) -> None:
        self._say(grant.session_id, True)

    def closed(self, summary: SessionClosed) -> None:
        self._say(summary.session_id, False)

    async def run(self) -> None:
        """Pass on what was said, in its order, until cancelled."""
        while True:
            await self._more.wait()
            while self._words:
                session_id, is_here = self._words.popleft()
                try:
                    await (self._directory.announce(session_id) if is_here else self._directory.withdraw(session_id))
                except VoxgateError as error:
                    logger.warning("the session directory was not told", extra={"code": error.code})
                except ValueError:
                    # A token we did not issue may name its session so that no key can be made of it.
                    logger.warning("a session can't be listed", extra={"session": session_id})
            self._more.clear()

    def _say(self, session_id: str, is_here: bool) -> None:
        if session_of_token(session_id) != session_id:
            return  # one of several of a token: nobody looks for it
        if len(self._words) < MAX_BEHIND:
            self._words.append((session_id, is_here))
            self._more.set()
