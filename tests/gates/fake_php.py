"""The seven endpoints as the fakes answer them, in Python or as if in PHP, and the lies about that."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from tests.gates.fake_http import Refusal, Request, Response

__all__ = ["answer_php"]

FIGURES = {"impressions": 10, "clicks": 5, "conversions": 1, "spend": 2.5}
CAMPAIGN = {"name": "A", "channel": "search", **FIGURES}
SETTINGS: dict[str, Any] = {
    "enabled": True, "assistantName": "D", "greeting": "", "language": "en", "voice": "v", "temperature": 0.7,
    "maxTurns": 4, "topics": [],
}  # fmt: skip
CONVERSATION = {"id": "conv_fixture_02", "title": "t", "createdAt": 1, "updatedAt": 2}
PRODUCT = {"name": "A", "orders": 2, "revenue": 1.5}
METHODS = {
    "/api/health.php": "GET", "/api/donna_logic.php": "POST", "/api/marketing.php": "GET",
    "/api/conversations.php": "GET DELETE", "/api/voice-chat.php": "POST", "/api/sales/overview.php": "GET",
    "/api/chatbot_settings.php": "GET POST",
}  # fmt: skip
LEGACY = {
    "/api/health.php": ("status", "version", "checks"), "/api/donna_logic.php": ("reply", "intent"),
    "/api/marketing.php": ("campaigns", "totals"), "/api/conversations.php": ("conversations", "nextCursor", "deleted"),
    "/api/voice-chat.php": ("reply", "sessionId"), "/api/sales/overview.php": ("revenue", "orders", "topProducts"),
    "/api/chatbot_settings.php": ("settings",),
}  # fmt: skip


def answer_php(request: Request, lies: frozenset[str]) -> Response | None:
    """The answer, or ``None`` at other paths. ``lies`` names the promises to break, at all seven."""
    path, _, query = request.path.partition("?")
    if path not in METHODS:
        return None
    if request.method not in METHODS[path].split():
        allow = {} if "php-no-allow" in lies else {"Allow": METHODS[path]}
        raise Refusal(405, "method_not_allowed", **allow)
    if "php-wrong-alike" in lies and request.method == "POST":
        raise Refusal(404, "not_found")
    data = _data(path, request, parse_qs(query, keep_blank_values=True))
    if "php-schema" in lies:
        data = dict.fromkeys(data)
    if "php-other-data" in lies and path == "/api/marketing.php":
        data["currency"] = "USD"
    legacy = {} if "php-no-legacy" in lies else {name: data[name] for name in LEGACY[path] if name in data}
    if "php-stale-legacy" in lies:
        legacy[next(iter(legacy))] = "stale"
    if "conversation" in data:
        legacy |= {"conversation": data["conversation"], "messages": []}
    headers = {"x-powered-by": "PHP/8"} if "php-powered-by" in lies else {}
    body = {"success": "yes" if "php-success-text" in lies else True, "data": data, **legacy}
    return Response(200, body, headers)


def _data(path: str, request: Request, query: Mapping[str, list[str]]) -> dict[str, Any]:
    if path == "/api/health.php":
        return {"status": "ok", "version": "1.0", "checks": {"store": {"status": "off"}}}
    if path in ("/api/marketing.php", "/api/sales/overview.php"):
        period = query.get("period", ["30d"])[0]
        _require(period in ("7d", "30d", "90d"))
        shown: dict[str, Any] = {"fixture": True, "period": period, "currency": "EUR"}
        if path == "/api/marketing.php":
            return {**shown, "campaigns": [CAMPAIGN], "totals": FIGURES}
        return {
            **shown, "revenue": 3.0, "orders": 2, "averageOrder": 1.5, "conversionRate": 0.1, "topProducts": [PRODUCT]
        }  # fmt: skip
    if path == "/api/conversations.php":
        return _conversations(request, query)
    if request.method == "GET":
        return {"settings": SETTINGS}
    body = _body(request)
    if path == "/api/chatbot_settings.php":
        _require(body.get("temperature", 0) <= 2 and body.get("language", "en") == "en")
        return {"settings": {**SETTINGS, **body}, "valid": True, "saved": False}
    _require(isinstance(body.get("text"), str) and bool(body["text"]) and "more" not in body)
    name = "sessionId" if path == "/api/voice-chat.php" else "conversationId"
    reply = {"reply": "Hello", "intent": "greeting", "suggestions": ["More"], "stored": False}
    return {**reply, name: body.get(name, "conv_1")}


def _conversations(request: Request, query: Mapping[str, list[str]]) -> dict[str, Any]:
    wanted = query.get("id", [""])[0]
    if request.method == "DELETE" or wanted:
        _require(bool(wanted) and "/" not in wanted)
        if wanted != CONVERSATION["id"]:
            raise Refusal(404, "not_found")
        return {"conversation": {**CONVERSATION, "turns": []}, "fixture": True}
    _require(query.get("limit", ["1"])[0] != "0")
    return {"conversations": [{**CONVERSATION, "turns": 0}], "nextCursor": None, "fixture": True}


def _body(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type") != "application/json":
        raise Refusal(415, "unsupported_media_type")
    try:
        body = json.loads(request.body)
    except ValueError:
        raise Refusal(400, "malformed_json") from None
    _require(isinstance(body, dict))
    assert isinstance(body, dict)
    return body


def _require(holds: bool) -> None:
    if not holds:
        raise Refusal(422, "invalid_input")
