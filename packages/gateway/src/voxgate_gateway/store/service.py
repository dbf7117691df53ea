"""The conversation store of one gateway process: opened, recording, and closed again."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter, Response

from voxgate_core import Answer, Clock
from voxgate_gateway.store.conversations import Conversations
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.modes import StoreMode
from voxgate_gateway.store.readers import Readers
from voxgate_gateway.store.recorder import Recorder
from voxgate_gateway.store.routes import create_router
from voxgate_gateway.store.schema import require_current, upgrade
from voxgate_gateway.store.subjects import Subjects
from voxgate_gateway.store.writer import BatchWriter

__all__ = ["ConversationStore", "open_store"]


@dataclass(frozen=True, slots=True)
class ConversationStore:
    """``recorder`` is both an ``EventSink`` and a ``SessionObserver``; ``conversations`` are for the routes."""

    recorder: Recorder
    conversations: Conversations
    subjects: Subjects

    def router(self, readers: Readers, respond: Callable[[Answer], Response]) -> APIRouter:
        """The routes that read what is kept; ``readers`` says who asks."""
        return create_router(self.conversations, readers, respond)


@asynccontextmanager
async def open_store(url: str, mode: StoreMode, clock: Clock, *, upgrading: bool) -> AsyncIterator[ConversationStore]:
    """Open the database at ``url``, which is one that :func:`locate` gave, and record until the body ends.

    With ``upgrading`` the schema is brought up to date (dev); without, one that is not raises
    :class:`ConfigurationError` that names the command. Raises ``VoxgateError`` ``unavailable`` when the database can't
    be reached.
    """
    database = Database(url)
    try:
        if upgrading:
            await upgrade(database)
        else:
            await require_current(database)
        recorder = Recorder(BatchWriter(database).write, mode)
        async with recorder.running():
            yield ConversationStore(recorder, Conversations(database, clock), Subjects(database, clock))
    finally:
        await database.close()
