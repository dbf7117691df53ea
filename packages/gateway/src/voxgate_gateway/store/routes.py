"""The HTTP routes of conversations: list and search, read, delete.

Every request goes the same way: origin, caller, then the query. A caller sees its own subject's conversations, an
operator everybody's. What is not the caller's is not there: it answers 404 like what never was.
"""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from voxgate_core import Answer, VoxgateError
from voxgate_gateway.store.conversations import Conversations
from voxgate_gateway.store.cursors import MAX_CURSOR, Place, read_cursor, write_cursor
from voxgate_gateway.store.readers import Reader, Readers

__all__ = ["MAX_ITEMS", "MAX_PAGE", "MAX_QUERY", "PATH", "create_router"]

PATH: Final = "/api/conversations"

MAX_PAGE: Final = 100
"""Conversations of one page."""

MAX_ITEMS: Final = 500
"""Items of one page of a conversation. With the longest texts, 8 million characters."""

MAX_QUERY: Final = 200
"""Characters one may search for."""

MAX_SUBJECT: Final = 256
"""Characters of a subject, as in a token."""

NO_STORE: Final = {"Cache-Control": "no-store"}

Respond = Callable[[Answer], Response]
SessionId = Annotated[str, Path(pattern="^[A-Za-z0-9_.-]{1,64}$", description="the session's id")]
Cursor = Annotated[str | None, Query(min_length=1, max_length=MAX_CURSOR, description="`next` of the page before")]


def create_router(conversations: Conversations, readers: Readers, respond: Respond) -> APIRouter:
    """The routes; ``respond`` renders what they answer."""
    router = APIRouter(tags=["conversations"])

    async def reader(request: Request) -> Reader:
        # FastAPI asks this before it judges a query: who may not call learns nothing of what a route takes.
        return await readers.admit(request.scope["headers"])

    Asking = Annotated[Reader, Depends(reader)]

    @router.get(PATH, summary="List or search conversations", response_class=Response)
    async def list_conversations(
        asking: Asking,
        q: Annotated[str | None, Query(min_length=1, max_length=MAX_QUERY, description="said in it")] = None,
        sub: Annotated[
            str | None, Query(min_length=1, max_length=MAX_SUBJECT, description="whose; an operator's key may ask")
        ] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    ) -> Response:
        if sub is not None and sub != asking.subject and not asking.operates:
            raise VoxgateError("role_refused", "this caller sees its own conversations only")
        whose = sub if asking.operates else asking.subject
        _check_text(q=q, sub=sub)
        page = await conversations.list(whose, q=q, after=_place(cursor), limit=limit)
        return respond(Answer({"conversations": page.found, "next": _next(page.after)}, headers=NO_STORE))

    @router.get(f"{PATH}/{{session_id}}", summary="Read a conversation", response_class=Response)
    async def read(
        asking: Asking,
        session_id: SessionId,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=MAX_ITEMS)] = 100,
    ) -> Response:
        found = await conversations.read(session_id, _whose(asking), after=_place(cursor), limit=limit)
        if found is None:
            raise VoxgateError("not_found", "there is no such conversation")
        session, page = found
        data = {"conversation": session, "items": page.found, "next": _next(page.after)}
        return respond(Answer(data, headers=NO_STORE))

    @router.delete(f"{PATH}/{{session_id}}", summary="Delete a conversation", response_class=Response)
    async def delete(asking: Asking, session_id: SessionId) -> Response:
        counts = await conversations.delete(session_id, _whose(asking), who=_who(asking))
        if counts is None:
            raise VoxgateError("not_found", "there is no such conversation")
        rows = {"turns": counts["turns"], "transcripts": counts["transcripts"], "toolCalls": counts["tool_calls"]}
        return respond(Answer({"deleted": session_id, **rows}, headers=NO_STORE))

    return router


def _whose(asking: Reader) -> str | None:
    return None if asking.operates else asking.subject


def _who(asking: Reader) -> str:
    """Who deletes, for the audit, which names no subject."""
    return asking.subject if asking.operates else "self"


def _place(cursor: str | None) -> Place | None:
    return None if cursor is None else read_cursor(cursor)


def _next(after: Place | None) -> str | None:
    return None if after is None else write_cursor(after)


def _check_text(**given: str | None) -> None:
    """Refuse what no database could compare: PostgreSQL knows no NUL, and half a surrogate pair has no UTF-8."""
    for name, text in given.items():
        if text is not None and ("\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)):
            raise VoxgateError("invalid_input", details={name: "a text without NUL"})
