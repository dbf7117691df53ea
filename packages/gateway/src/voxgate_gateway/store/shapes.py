"""Rows as the JSON objects that the API and an export show. What is not known is left out."""

from typing import Any

from sqlalchemy import Row

from voxgate_gateway.store.tables import ToolCall, Transcript, Turn

__all__ = ["item_of", "session_of"]


def session_of(row: Row[Any]) -> dict[str, Any]:
    """A conversation, without what was said in it."""
    return _known(
        id=row.id,
        sub=row.subject,
        mode=row.mode,
        origin=row.origin,
        dialect=row.dialect,
        model=row.model,
        startedAt=row.started_at,
        endedAt=row.ended_at,
        closeCode=row.close_code,
        reason=row.reason,
        seconds=row.seconds,
        turns=row.turns,
        clientMessages=row.client_messages,
        clientBytes=row.client_bytes,
        upstreamMessages=row.upstream_messages,
        upstreamBytes=row.upstream_bytes,
        usage=_usage(row),
    )


def item_of(table: type[Turn] | type[Transcript] | type[ToolCall], row: Row[Any]) -> dict[str, Any]:
    """One thing that happened in it: ``kind`` is ``turn``, ``transcript`` or ``tool``."""
    if table is Turn:
        return _known(
            kind="turn",
            id=row.event_id,
            at=row.at,
            turn=row.turn,
            responseId=row.response_id,
            status=row.status,
            milliseconds=row.milliseconds,
            usage=None if row.total_tokens is None else _usage(row),
        )
    if table is Transcript:
        return _known(
            kind="transcript",
            id=row.event_id,
            at=row.at,
            turn=row.turn,
            role=row.role,
            text=row.text,
            redacted=row.redacted,
            truncated=row.truncated or None,
        )
    return _known(
        kind="tool",
        id=row.event_id,
        at=row.at,
        callId=row.call_id,
        name=row.name,
        arguments=row.arguments,
        redacted=row.redacted,
        truncated=row.truncated or None,
    )


def _usage(row: Row[Any]) -> dict[str, int]:
    return {
        "inputTokens": row.input_tokens or 0,
        "outputTokens": row.output_tokens or 0,
        "totalTokens": row.total_tokens or 0,
    }


def _known(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
