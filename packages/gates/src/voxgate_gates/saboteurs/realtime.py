"""Saboteurs of the Realtime gate: one for each check."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from voxgate_gates.checks.realtime import SILENCE_LIMIT
from voxgate_gates.checks.realtime_resume import NO_EVENT
from voxgate_gates.checks.security import BAD_ORIGIN
from voxgate_gates.saboteurs.lies import (
    ROUTES,
    answers_instead,
    asks_otherwise,
    closes_with,
    drops_event,
    event_lie,
    made,
    to,
)
from voxgate_gates.saboteurs.messages import Answer, Frame, Request
from voxgate_gates.saboteurs.saboteur import Exchange, Lie, Saboteur

__all__ = ["SABOTEURS"]

NATIVE: Final = to(ROUTES.native, is_socket=True)
OPENAI: Final = to(ROUTES.openai, is_socket=True)

LATE_SECONDS: Final = 0.5
"""How long past its time a silent socket is left open."""


def _anonymous(request: Request) -> bool:
    return "authorization" not in request.headers and "api-key" not in request.headers and "=" not in request.target


def _garbage(request: Request) -> bool:
    return request.bearer.startswith("garbage-")


async def _late_close(exchange: Exchange, frame: Frame) -> Sequence[Frame]:
    if frame.close_code == 4001 and NATIVE(exchange) and _anonymous(exchange.request):
        await asyncio.sleep(exchange.began + SILENCE_LIMIT + LATE_SECONDS - time.monotonic())
    return [frame]


def _unsigned(exchange: Exchange) -> None:
    """Admit a token by its first two parts."""
    shown = exchange.request.bearer.rpartition(".")[0]
    for token in exchange.world.minted:
        if shown and token.rpartition(".")[0] == shown:
            exchange.request.bearer = token


async def _expired(exchange: Exchange) -> None:
    known = exchange.world.minted.get(exchange.request.bearer)
    if NATIVE(exchange) and known is not None and time.monotonic() - known[1] > 1.0 and b'"ttl"' in known[0].body:
        exchange.request.bearer = await exchange.world.fresh(exchange.request.bearer)


def _any_origin(exchange: Exchange) -> None:
    known = exchange.world.minted.get(exchange.request.bearer)
    if known is not None and exchange.request.origin == exchange.world.other_origin:
        exchange.request.origin = known[0].origin


async def _again(exchange: Exchange) -> None:
    token = exchange.request.bearer
    if not NATIVE(exchange) or token not in exchange.world.minted:
        return
    if f"spent {token}" in exchange.world.notes and exchange.request.origin == exchange.world.origin:
        exchange.request.bearer = await exchange.world.fresh(token)
    exchange.world.notes[f"spent {token}"] = "yes"


def _not_revoked(exchange: Exchange) -> bool:
    return to(ROUTES.revoke, "POST")(exchange) and b"sessionId" in exchange.request.body


def _welcome(exchange: Exchange) -> None:
    exchange.request.origin = exchange.world.origin


def _counted(exchange: Exchange, event: dict[str, object]) -> Sequence[dict[str, object]] | None:
    return [{**event, "received": 1}] if event.get("type") == "auth_success" else None


def _silent_echo(exchange: Exchange, answer: Answer) -> None:
    del answer.headers["sec-websocket-protocol"]


def _first_message(exchange: Exchange, event: dict[str, object]) -> Sequence[dict[str, object]] | None:
    return [{**event, "token": "lost-on-the-way"}] if event.get("type") == "auth" else None


def _from_query(exchange: Exchange) -> None:
    parts = urlsplit(exchange.request.target)
    query = parse_qs(parts.query)
    tokens = query.pop("token", [])
    query.pop("access_token", None)
    if tokens:
        exchange.request.bearer = tokens[0]
        rest = urlencode(query, doseq=True)
        exchange.request.target = f"{parts.path}?{rest}" if rest else parts.path


def _announced(exchange: Exchange, event: dict[str, object]) -> Sequence[dict[str, object]] | None:
    if not OPENAI(exchange) or event.get("type") != "session.created":
        return None
    return [{"type": "auth_success", "sessionId": "sess"}, event]


def _is_return(exchange: Exchange) -> bool:
    return NATIVE(exchange) and "resume=" in exchange.request.target


def _forgetful(exchange: Exchange, event: dict[str, object]) -> Sequence[dict[str, object]] | None:
    """What was missed stays missed; a later event of the same type passes."""
    if not _is_return(exchange) or event.get("type") != "session.updated" or "hole" in exchange.world.notes:
        return None
    exchange.world.notes["hole"] = str(event.get("event_id"))
    return []


def _claims_resumed(is_partial: bool) -> Lie:
    def claim(exchange: Exchange, event: dict[str, object]) -> Sequence[dict[str, object]] | None:
        if not _is_return(exchange) or event.get("type") != "auth_success":
            return None
        if (NO_EVENT in exchange.request.target) is not is_partial:
            return None
        return [{**event, "resumed": True}]

    return Lie(to_client=event_lie(claim))


def _saboteur(name: str, lie_name: str, story: str, lie: Lie, *related: str) -> Saboteur:
    names = frozenset(f"realtime.{check}" for check in related)
    return Saboteur(check=f"realtime.{name}", name=lie_name, story=story, lie=lie, related=names)


def _is_socket(exchange: Exchange) -> bool:
    return exchange.request.is_socket


SABOTEURS: Final = (
    _saboteur(
        "no-credential-4001",
        "as-1008",
        "A socket without a credential is closed 1008, which says nothing about tokens.",
        closes_with(1008, 4001, lambda request: request.path != ROUTES.native and "token=" not in request.target),
    ),
    _saboteur("silent-socket-4001", "late", "A silent socket may stay for eight seconds.", Lie(to_client=_late_close)),
    _saboteur(
        "garbage-token-4003",
        "as-1011",
        "A credential that is none ends as the server's own fault.",
        closes_with(1011, 4003, _garbage),
    ),
    _saboteur(
        "tampered-token-4003",
        "signature-ignored",
        "A token is read and not verified.",
        asks_otherwise(NATIVE, _unsigned),
    ),
    _saboteur("expired-token-4003", "clock-ignored", "A token's end is not looked at.", Lie(request=_expired)),
    _saboteur(
        "wrong-origin-token-4003",
        "origin-not-bound",
        "A token is good from every allowed origin.",
        asks_otherwise(NATIVE, _any_origin),
    ),
    _saboteur("replayed-token-4003", "used-twice", "A token opens one session after another.", Lie(request=_again)),
    _saboteur(
        "revoked-live-4003",
        "socket-lives-on",
        "A revocation is noted, and the live socket stays.",
        answers_instead(_not_revoked, lambda exchange: made(200, {"success": True, "data": {}})),
    ),
    _saboteur(
        "bad-origin-403",
        "any-page",
        "The handshake does not look at the origin.",
        asks_otherwise(lambda exchange: _is_socket(exchange) and exchange.request.origin == BAD_ORIGIN, _welcome),
    ),
    _saboteur(
        "auth-success-first",
        "false-count",
        "A new session claims to have received a message.",
        Lie(to_client=event_lie(_counted)),
    ),
    _saboteur(
        "credential-subprotocol",
        "no-echo",
        "The subprotocol that was agreed on is not named.",
        Lie(answer=_silent_echo),
    ),
    _saboteur(
        "credential-first-message",
        "not-understood",
        "A first message that carries a token is not understood.",
        Lie(to_server=event_lie(_first_message)),
    ),
    _saboteur(
        "credential-api-key-header",
        "header-lost",
        "The api-key header is lost on the way.",
        asks_otherwise(_is_socket, lambda exchange: exchange.request.headers.__delitem__("api-key")),
    ),
    _saboteur(
        "query-token-refused",
        "taken-from-query",
        "A token in the query string is taken.",
        asks_otherwise(_is_socket, _from_query),
    ),
    _saboteur(
        "turn-by-vad",
        "deaf",
        "The end of speech is never told.",
        Lie(to_client=drops_event("input_audio_buffer.speech_stopped")),
    ),
    _saboteur(
        "turn-by-push-to-talk",
        "commit-unanswered",
        "A commit by hand is never confirmed.",
        Lie(to_client=drops_event("input_audio_buffer.committed")),
    ),
    _saboteur(
        "openai-path-silent",
        "announced",
        "`auth_success` is sent on the OpenAI path too.",
        Lie(to_client=event_lie(_announced)),
    ),
    _saboteur(
        "invalid-json-1007", "as-1011", "Text that is no JSON ends as the server's own fault.", closes_with(1011, 1007)
    ),
    _saboteur("binary-1003", "as-1011", "A binary message ends as the server's own fault.", closes_with(1011, 1003)),
    _saboteur(
        "oversize-1009", "as-1011", "A message too large ends as the server's own fault.", closes_with(1011, 1009)
    ),
    _saboteur(
        "resumes-whole",
        "a-hole",
        "A session is resumed without the event that was missed.",
        Lie(to_client=event_lie(_forgetful)),
    ),
    _saboteur(
        "resume-never-partial",
        "pretends",
        "What was missed can't be found, and the session is said to be resumed all the same.",
        _claims_resumed(is_partial=True),
    ),
    _saboteur(
        "resume-never-others",
        "to-anybody",
        "A session is said to be resumed for whoever knows its id.",
        _claims_resumed(is_partial=False),
    ),
)
