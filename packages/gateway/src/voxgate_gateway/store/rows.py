"""Turns voice events into rows, as much of them as each session's mode allows. Nothing else leaves this module.

What the events hold is described in :mod:`voxgate_realtime.voice_events`. A member of another type than it says is
left out, like one that is missing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from voxgate_core import (
    SESSION_ENDED,
    SESSION_STARTED,
    TOOL_CALLED,
    TRANSCRIPT_COMPLETED,
    TURN_COMPLETED,
    Event,
)
from voxgate_gateway.store.modes import StoreMode
from voxgate_gateway.store.redaction import redact

__all__ = ["KEPT", "Rows", "Waiting", "rows_of", "session_of"]

KEPT: Final = frozenset({SESSION_STARTED, SESSION_ENDED, TRANSCRIPT_COMPLETED, TURN_COMPLETED, TOOL_CALLED})
"""Types of events that have a row. Every other event is not for the store."""

LARGEST: Final = 2**63 - 1
"""What a column of numbers holds."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that is to be stored, and how much of it."""

    event: Event
    mode: StoreMode


@dataclass(slots=True)
class Rows:
    """Rows for each table. ``sessions`` has one for each session named; ``started`` and ``ended`` add to those."""

    sessions: dict[str, Row] = field(default_factory=dict)
    started: list[Row] = field(default_factory=list)
    turns: list[Row] = field(default_factory=list)
    transcripts: list[Row] = field(default_factory=list)
    tool_calls: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)


def session_of(event: Event) -> str | None:
    """The id of the event's session."""
    return _text(event.data.get("sessionId"))


def rows_of(waiting: Iterable[Waiting]) -> Rows:
    """The rows of some events, in their order. An event without a session and a subject has none."""
    rows = Rows()
    for item in waiting:
        event, data = item.event, item.event.data
        session, subject = session_of(event), _text(data.get("sub"))
        if item.mode is StoreMode.OFF or session is None or subject is None:
            continue
        about = {"id": session, "subject": subject, "mode": item.mode.value, "started_at": event.time}
        rows.sessions.setdefault(session, about)
        if event.type == SESSION_STARTED:
            rows.started.append({"session": session, "at": event.time, **_started(data)})
        elif event.type == SESSION_ENDED:
            rows.ended.append({"session": session, "event": event.id, "at": event.time, **_ended(data)})
        else:
            row = {"event_id": event.id, "session_id": session, "at": event.time}
            if event.type == TURN_COMPLETED:
                rows.turns.append({**row, **_turn(data)})
            elif event.type == TRANSCRIPT_COMPLETED:
                rows.transcripts.append({**row, **_transcript(data, item.mode)})
            elif event.type == TOOL_CALLED:
                rows.tool_calls.append({**row, **_tool(data, item.mode)})
    return rows


def _started(data: Mapping[str, object]) -> Row:
    return {name: _text(data.get(name)) for name in ("origin", "dialect", "model")}


def _ended(data: Mapping[str, object]) -> Row:
    return {
        "close_code": _number(data.get("code")),
        "reason": _text(data.get("reason")),
        "seconds": _seconds(data.get("seconds")),
        "turns": _number(data.get("turns")) or 0,
        "client_messages": _number(data.get("clientMessages")) or 0,
        "client_bytes": _number(data.get("clientBytes")) or 0,
        "upstream_messages": _number(data.get("upstreamMessages")) or 0,
        "upstream_bytes": _number(data.get("upstreamBytes")) or 0,
        **{name: number or 0 for name, number in _usage(data).items()},
    }


def _turn(data: Mapping[str, object]) -> Row:
    return {
        "turn": _number(data.get("turn")),
        "response_id": _text(data.get("responseId")),
        "status": _text(data.get("status")),
        "milliseconds": _number(data.get("milliseconds")),
        **_usage(data),
    }


def _transcript(data: Mapping[str, object], mode: StoreMode) -> Row:
    text, redacted = _said(data.get("text"), mode)
    return {
        "turn": _number(data.get("turn")),
        "role": "user" if data.get("role") == "user" else "assistant",
        "text": text,
        "redacted": redacted,
        "truncated": data.get("truncated") is True,
    }


def _tool(data: Mapping[str, object], mode: StoreMode) -> Row:
    arguments, redacted = _said(data.get("arguments"), mode)
    return {
        "call_id": _text(data.get("callId")),
        "name": _text(data.get("name")),
        "arguments": arguments,
        "redacted": redacted,
        "truncated": data.get("truncated") is True,
    }


def _said(value: object, mode: StoreMode) -> tuple[str | None, bool]:
    """What may be kept of a text, and whether something was taken out of it."""
    text = _text(value)
    if text is None or mode is StoreMode.METADATA:
        return None, False
    if mode is StoreMode.REDACTED:
        redaction = redact(text)
        return redaction.text, redaction.found > 0
    return text, False


def _usage(data: Mapping[str, object]) -> Row:
    usage = data.get("usage")
    given: Mapping[str, object] = usage if isinstance(usage, Mapping) else {}
    names = {"input_tokens": "inputTokens", "output_tokens": "outputTokens", "total_tokens": "totalTokens"}
    return {column: _number(given.get(name)) for column, name in names.items()}


def _text(value: object) -> str | None:
    """A text that every database takes: PostgreSQL knows no NUL, and neither can write half a surrogate pair."""
    if not isinstance(value, str):
        return None
    if value.isascii():
        return value.replace("\0", "\ufffd")
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST else None


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and 0 <= value < LARGEST else 0.0
