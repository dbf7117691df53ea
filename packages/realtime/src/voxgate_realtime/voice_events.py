"""Builds the events of one voice session. Everything in ``data`` is JSON; what is not known is left out.

Beside ``sessionId`` and ``sub``, which all have:

- ``voice.session.started``: ``origin``, ``dialect``, ``model``
- ``voice.transcript.completed``: ``turn``, ``role``, ``itemId``, ``responseId``, ``text``, ``truncated``
- ``voice.tool.called``: ``callId``, ``name``, ``arguments``, ``truncated``
- ``voice.turn.completed``: ``turn``, ``responseId``, ``status``, ``text``, ``truncated``, ``usage``, ``milliseconds``
- ``voice.session.ended``: ``code``, ``reason``, ``seconds``, ``clientMessages``, ``clientBytes``, ``upstreamMessages``,
  ``upstreamBytes``, ``turns``, ``usage``

``usage`` is ``{inputTokens, outputTokens, totalTokens}``. ``truncated`` is there, and true, only when the text was cut.
"""

import secrets
from typing import Final

from voxgate_core import (
    SESSION_ENDED,
    SESSION_STARTED,
    TOOL_CALLED,
    TRANSCRIPT_COMPLETED,
    TURN_COMPLETED,
    Clock,
    Event,
    SessionClosed,
)
from voxgate_realtime.transcript import MAX_NAME, ResponseDone, ToolCall, Transcript, Usage

__all__ = ["DEFAULT_SOURCE", "VoiceEvents"]

DEFAULT_SOURCE: Final = "/voxgate"
"""The CloudEvents ``source``, a URI reference, of a deployment that gives no other."""


class VoiceEvents:
    """``source`` is a URI reference and names the deployment; each event's ``subject`` is the session's id."""

    __slots__ = ("_clock", "_session_id", "_source", "_subject")

    def __init__(self, source: str, clock: Clock, *, session_id: str, subject: str) -> None:
        self._source = source
        self._clock = clock
        self._session_id = session_id
        self._subject = subject

    def started(self, *, origin: str | None, dialect: str, model: str) -> Event:
        """``model`` is what the client asked for, or the default; it may yet be refused, so its length is cut."""
        return self._event(SESSION_STARTED, origin=origin, dialect=dialect, model=model[:MAX_NAME])

    def transcript(self, said: Transcript, *, turn: int) -> Event:
        return self._event(
            TRANSCRIPT_COMPLETED,
            turn=turn,
            role=said.role,
            itemId=said.item_id,
            responseId=said.response_id,
            text=said.text,
            truncated=said.truncated or None,
        )

    def tool(self, call: ToolCall) -> Event:
        return self._event(
            TOOL_CALLED,
            callId=call.call_id,
            name=call.name,
            arguments=call.arguments,
            truncated=call.truncated or None,
        )

    def turn(self, done: ResponseDone, *, turn: int, waited: float | None) -> Event:
        """``waited`` is the seconds from the user's last word to the model's first."""
        return self._event(
            TURN_COMPLETED,
            turn=turn,
            responseId=done.response_id,
            status=done.status,
            text=done.text,
            truncated=done.truncated or None,
            usage=None if done.usage is None else _tokens(done.usage),
            milliseconds=None if waited is None else round(waited * 1000),
        )

    def ended(self, summary: SessionClosed, *, turns: int, usage: Usage) -> Event:
        """``turns`` were completed and used ``usage`` in all."""
        return self._event(
            SESSION_ENDED,
            code=summary.code,
            reason=summary.reason,
            seconds=round(summary.seconds, 3),
            clientMessages=summary.client_messages,
            clientBytes=summary.client_bytes,
            upstreamMessages=summary.upstream_messages,
            upstreamBytes=summary.upstream_bytes,
            turns=turns,
            usage=_tokens(usage),
        )

    def _event(self, kind: str, **fields: object) -> Event:
        data: dict[str, object] = {"sessionId": self._session_id, "sub": self._subject}
        data.update((name, value) for name, value in fields.items() if value is not None)
        return Event(
            id=f"evt_{secrets.token_hex(16)}",
            source=self._source,
            type=kind,
            time=self._clock.now(),
            subject=self._session_id,
            data=data,
        )


def _tokens(usage: Usage) -> dict[str, int]:
    return {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total_tokens,
    }
