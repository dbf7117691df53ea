"""The seven endpoints, answered in this process from the data that PHP has too."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator

from voxgate_core import Answer, Clock, VoxgateError
from voxgate_responder.endpoints.call import Call
from voxgate_responder.endpoints.donna import Reply, reply_to
from voxgate_responder.endpoints.judging import check_body_headers, judge, read_body, read_query
from voxgate_responder.endpoints.store import ConversationFiles, new_id, new_turn, summary
from voxgate_responder.endpoints.table import EVENT_TYPE, JSON_TYPE, VERSION, load_shared

__all__ = ["LocalStub", "Verify"]

Verify = Callable[[Mapping[str, str], bytes], str]
"""Takes the headers and the body of a signed event; returns its ``webhook-id``, or raises ``credential_invalid``."""

PAGE: Final = "20"
"""Conversations on a page for which no limit was given."""

PERIOD: Final = "30d"
TRANSCRIPT: Final = "voice.transcript.completed"
SIGNATURE_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")

_FIXTURES: Final[list[dict[str, Any]]] = load_shared("conversations")["conversations"]
_is_transcript: Final = Draft202012Validator(load_shared("transcript")).is_valid


class LocalStub:
    """Answers like the PHP shim. Without a ``store``, conversations are fixtures and nothing is kept.

    With ``verify``, voice events must be signed, and need no other credential.
    """

    def __init__(self, clock: Clock, *, store: ConversationFiles | None = None, verify: Verify | None = None) -> None:
        self._clock = clock
        self._store = store
        self._verify = verify
        self._answers = {
            "health": self._health,
            "donna_logic": self._donna_logic,
            "marketing": self._marketing,
            "conversations": self._conversations,
            "voice-chat": self._voice_chat,
            "sales_overview": self._sales_overview,
            "chatbot_settings": self._chatbot_settings,
        }

    def believes(self, call: Call) -> bool:
        return call.is_event and self._verify is not None

    async def answer(self, call: Call) -> Answer:
        """Judge the input, and answer. Raises :class:`VoxgateError`."""
        rules = call.endpoint.methods[call.method]
        query = read_query(call.query, rules.get("query", {}))
        body = self._body(call, rules) if "body" in rules else {}
        return await asyncio.to_thread(self._answers[call.endpoint.name], call, query, body)

    def _body(self, call: Call, rules: Mapping[str, Any]) -> dict[str, Any]:
        signed_id = self._signed_id(call)
        types = (JSON_TYPE, EVENT_TYPE) if "event" in rules else (JSON_TYPE,)
        check_body_headers(call.content_type, call.headers.get("content-encoding", ""), types)
        body = read_body(call.body)
        judge(body, rules["event" if call.is_event else "body"])
        if signed_id is not None and signed_id != body["id"]:
            raise VoxgateError("bad_request", "webhook-id is not the id of the event in the body")
        return body

    def _signed_id(self, call: Call) -> str | None:
        if self._verify is None or not call.is_event:
            return None
        if not any(call.headers.get(name) for name in SIGNATURE_HEADERS):
            raise VoxgateError("credential_missing", "The event is not signed")
        return self._verify(call.headers, call.body)

    def _health(self, call: Call, query: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        standing = "off" if self._store is None else "ok" if self._store.works else "down"
        checks = {"store": {"status": standing}}
        if standing == "down":
            raise VoxgateError("unavailable", "Conversations cannot be kept now", details={"checks": checks})
        health = {"status": "ok", "version": VERSION, "checks": checks}
        return Answer(health, health)

    def _donna_logic(self, call: Call, query: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        said, known_id, stored = self._turn(body, body.get("conversationId"))
        data = {**_shown(said), "conversationId": known_id, "stored": stored}
        return Answer(data, {"reply": said.reply, "intent": said.intent})

    def _voice_chat(self, call: Call, query: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        if not call.is_event:
            said, known_id, stored = self._turn(body, body.get("sessionId"))
            data = {**_shown(said), "sessionId": known_id, "stored": stored}
            return Answer(data, {"reply": said.reply, "sessionId": known_id})
        heard = body["data"]
        kept = self._store is not None and body["type"] == TRANSCRIPT and _is_transcript(heard)
        if self._store is not None and kept:
            turn = new_turn(heard["role"], heard["text"], self._clock.now(), turn_id=body["id"])
            self._store.append(heard["sessionId"], [turn])
        taken = {"accepted": True, "eventId": body["id"], "type": body["type"], "stored": kept}
        return Answer(taken, {"accepted": True})

    def _marketing(self, call: Call, query: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        return _figures("marketing", query.get("period", PERIOD), ("campaigns", "totals"))

    def _sales_overview(self, call: Call, query: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        return _figures("sales_overview", query.get("period", PERIOD), ("revenue", "orders", "topProducts"))

    def _chatbot_settings(self, call: Call, query: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        settings = {**load_shared("chatbot_settings"), **body}
        judged = {"valid": True, "saved": False} if call.method == "POST" else {}
        return Answer({"settings": settings, **judged}, {"settings": settings})

    def _conversations(self, call: Call, query: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        if call.method == "DELETE":
            return self._delete(query["id"])
        is_fixture = {"fixture": self._store is None}
        if "id" in query:
            found = _fixture(query["id"]) if self._store is None else self._store.get(query["id"])
            messages = [{"role": turn["role"], "content": turn["text"]} for turn in found["turns"]]
            return Answer({"conversation": found, **is_fixture}, {"conversation": found, "messages": messages})
        limit, after = int(query.get("limit", PAGE)), query.get("cursor", "")
        if self._store is None:
            rest = [one for one in _FIXTURES if one["id"] > after]
            page, cursor = [summary(one) for one in rest[:limit]], rest[limit - 1]["id"] if len(rest) > limit else None
        else:
            page, cursor = self._store.page(limit, after)
        legacy = {"conversations": page, "nextCursor": cursor}
        return Answer({**legacy, **is_fixture}, legacy)

    def _delete(self, conversation_id: str) -> Answer:
        if self._store is None:
            _fixture(conversation_id)
            raise VoxgateError("unavailable", "Fixtures cannot be deleted: give the endpoints a store")
        self._store.delete(conversation_id)
        return Answer({"deleted": conversation_id}, {"deleted": conversation_id})

    def _turn(self, body: Mapping[str, Any], known_id: str | None) -> tuple[Reply, str | None, bool]:
        """The answer, the id of the conversation, and whether it was kept."""
        text, previous = body["text"], body.get("previousIntent")
        if self._store is None:
            return reply_to(text, previous), known_id, False
        said = reply_to(text, previous or self._last_intent(self._store, known_id))
        now = self._clock.now()
        kept_id = known_id or new_id(now)
        turns = [new_turn("user", text, now), new_turn("assistant", said.reply, now, intent=said.intent)]
        self._store.append(kept_id, turns)
        return said, kept_id, True

    @staticmethod
    def _last_intent(store: ConversationFiles, known_id: str | None) -> str | None:
        if known_id is None:
            return None
        try:
            turns = store.get(known_id)["turns"]
        except VoxgateError as error:
            if error.code != "not_found":
                raise
            return None
        return turns[-1].get("intent") if turns else None


def _shown(said: Reply) -> dict[str, object]:
    return {"reply": said.reply, "intent": said.intent, "suggestions": list(said.suggestions)}


def _figures(name: str, period: str, legacy: tuple[str, ...]) -> Answer:
    shared = load_shared(name)
    figures = shared["periods"][period]
    data = {"fixture": shared["fixture"], "period": period, "currency": shared["currency"], **figures}
    return Answer(data, {field: figures[field] for field in legacy})


def _fixture(conversation_id: str) -> dict[str, Any]:
    for one in _FIXTURES:
        if one["id"] == conversation_id:
            return one
    raise VoxgateError("not_found", "There is no conversation with this id")
