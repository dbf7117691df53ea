"""Saboteurs of the Security gate: one for each check."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Final

from voxgate_gates.checks.security import BAD_ORIGIN
from voxgate_gates.checks.security_http import SENT_TRACE
from voxgate_gates.saboteurs.lies import (
    ROUTES,
    answers_instead,
    asks_otherwise,
    http_lie,
    json_lie,
    made,
    to,
    with_key,
    without_header,
    without_key,
)
from voxgate_gates.saboteurs.messages import Answer
from voxgate_gates.saboteurs.saboteur import Exchange, Lie, Saboteur
from voxgate_gates.target import TOKEN_TTL

__all__ = ["SABOTEURS"]

TOKEN: Final = to(ROUTES.token, "POST")
REVOKE: Final = to(ROUTES.revoke, "POST")
MISSING: Final = to(ROUTES.missing)
EVERYTHING: Final[Callable[[Exchange], bool]] = lambda exchange: not exchange.request.is_socket  # noqa: E731


LONGEST_TTL: Final = max(TOKEN_TTL.values())


def _from(origin: str, when: Callable[[Exchange], bool]) -> Callable[[Exchange], bool]:
    return lambda exchange: when(exchange) and exchange.request.origin == origin


def _take_key(exchange: Exchange) -> None:
    exchange.request.bearer = exchange.world.key


def _allow_origin(exchange: Exchange) -> None:
    exchange.request.origin = exchange.world.origin


def _wrong_key(exchange: Exchange) -> bool:
    known = (exchange.world.key, exchange.world.issuer_key)
    return with_key(TOKEN)(exchange) and exchange.request.bearer not in known


def _by_issuer(exchange: Exchange) -> bool:
    return REVOKE(exchange) and exchange.request.bearer == exchange.world.issuer_key


def _untraced(exchange: Exchange) -> bool:
    return EVERYTHING(exchange) and "traceparent" not in exchange.request.headers


def _same_trace(exchange: Exchange) -> None:
    exchange.request.headers["traceparent"] = f"00-{'5' * 32}-{'5' * 16}-01"


def _double_life(body: dict[str, object]) -> None:
    data = body["data"]
    assert isinstance(data, dict)
    data["expiresIn"] = 2 * data["expiresIn"]


def _live_long(exchange: Exchange, answer: Answer) -> None:
    """As if the `ttl` that was asked for were granted: the token's own claims say so."""
    if answer.status != 200:
        return
    asked = json.loads(exchange.request.body).get("ttl", 0)
    if asked <= LONGEST_TTL:
        return
    body = answer.json()
    head, payload, signature = body["data"]["token"].split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["exp"] = claims["iat"] + asked
    longer = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    body["data"]["token"] = body["token"] = f"{head}.{longer}.{signature}"
    answer.put(body)


def _valid_json(exchange: Exchange) -> bool:
    try:
        json.loads(exchange.request.body)
    except ValueError:
        return False
    return True


def _status(status: int) -> Callable[[Exchange, Answer], None]:
    def change(exchange: Exchange, answer: Answer) -> None:
        answer.status = status

    return change


def _echo_key(exchange: Exchange, answer: Answer) -> None:
    answer.headers["x-debug"] = exchange.request.headers.get("authorization")


def _permit(exchange: Exchange, answer: Answer) -> None:
    answer.status = 200
    answer.headers["access-control-allow-origin"] = exchange.request.origin


def _fewer_headers(exchange: Exchange, answer: Answer) -> None:
    if answer.headers.get("access-control-allow-headers"):
        answer.headers["access-control-allow-headers"] = "content-type"


def _later(body: dict[str, object]) -> None:
    body["expires_at"] = int(str(body["expires_at"])) + 60


_PLAIN: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nInvalid HTTP request."
)

_PREFLIGHT: Final = to(ROUTES.token, "OPTIONS")


def _saboteur(name: str, lie_name: str, story: str, lie: Lie) -> Saboteur:
    return Saboteur(check=f"security.{name}", name=lie_name, story=story, lie=lie)


SABOTEURS: Final = (
    _saboteur(
        "token-unauthenticated-401",
        "trusts-anonymous",
        "A caller without a credential is taken for the operator.",
        asks_otherwise(
            lambda exchange: without_key(TOKEN)(exchange) and exchange.request.origin == exchange.world.origin,
            _take_key,
        ),
    ),
    _saboteur(
        "token-wrong-key-401",
        "any-key-will-do",
        "A key is looked at, but not looked up.",
        asks_otherwise(_wrong_key, _take_key),
    ),
    _saboteur(
        "token-bad-origin-403",
        "key-beats-origin",
        "With a good key the origin is not asked for.",
        asks_otherwise(_from(BAD_ORIGIN, with_key(TOKEN)), _allow_origin),
    ),
    _saboteur(
        "token-bad-origin-before-credential",
        "credential-first",
        "The credential is judged before the origin.",
        asks_otherwise(_from(BAD_ORIGIN, without_key(TOKEN)), _allow_origin),
    ),
    _saboteur(
        "token-null-origin-403",
        "null-is-allowed",
        "The origin `null` stands on the allowlist.",
        asks_otherwise(_from("null", TOKEN), _allow_origin),
    ),
    _saboteur(
        "token-issued-200",
        "legacy-field-lost",
        "The legacy field `token` is gone from the top level.",
        json_lie(TOKEN, lambda body: body.pop("token"), status=200),
    ),
    _saboteur(
        "token-ttl",
        "life-overstated",
        "`expiresIn` is twice the token's life.",
        json_lie(TOKEN, _double_life, status=200),
    ),
    _saboteur(
        "token-ttl-capped",
        "ttl-as-asked",
        "The `ttl` that is asked for is granted, however long.",
        http_lie(TOKEN, _live_long),
    ),
    _saboteur(
        "client-secrets-shape",
        "later-end",
        "`expires_at` is a minute after the key's end.",
        json_lie(to(ROUTES.client_secrets), _later, status=200),
    ),
    _saboteur(
        "revoke-unauthenticated-401",
        "revokes-for-anyone",
        "The revoke route stands before the authenticators.",
        asks_otherwise(without_key(REVOKE), _take_key),
    ),
    _saboteur(
        "revoke-issuer-403",
        "roles-ignored",
        "An issuer's key revokes as an operator's does.",
        asks_otherwise(_by_issuer, _take_key),
    ),
    _saboteur(
        "secrets-never-echoed",
        "debug-header",
        "The page for what is not there repeats the Authorization header.",
        http_lie(with_key(MISSING), _echo_key),
    ),
    _saboteur(
        "token-wrong-method-405",
        "no-allow",
        "405 does not say which methods are allowed.",
        http_lie(to(ROUTES.token, "GET"), without_header("allow")),
    ),
    _saboteur(
        "token-malformed-json-400",
        "as-422",
        "What is not JSON is answered as JSON that does not fit.",
        http_lie(lambda exchange: TOKEN(exchange) and not _valid_json(exchange), _status(422), status=400),
    ),
    _saboteur(
        "token-wrong-content-type-415",
        "forms-taken",
        "A plain form's content type is taken for JSON.",
        asks_otherwise(
            lambda exchange: TOKEN(exchange) and exchange.request.headers.get("content-type") == "text/plain",
            lambda exchange: exchange.request.headers.__setitem__("content-type", "application/json"),
        ),
    ),
    _saboteur(
        "token-body-too-large-413",
        "as-400",
        "A body too large is answered as a bad one.",
        http_lie(TOKEN, _status(400), status=413),
    ),
    _saboteur(
        "missing-route-404",
        "no-error-object",
        "The framework's 404 lacks the `error` object.",
        json_lie(MISSING, lambda body: body.pop("error", None)),
    ),
    _saboteur(
        "security-headers",
        "error-page-bare",
        "401 is answered around the middleware that adds `X-Content-Type-Options`.",
        http_lie(TOKEN, without_header("x-content-type-options"), status=401),
    ),
    _saboteur(
        "trace-id-fresh",
        "one-trace-for-all",
        "Every request without a trace gets the same trace id.",
        asks_otherwise(_untraced, _same_trace),
    ),
    _saboteur(
        "trace-id-continued",
        "trace-dropped",
        "A caller's trace is dropped on the way.",
        asks_otherwise(
            lambda exchange: SENT_TRACE in exchange.request.headers.get("traceparent"),
            lambda exchange: exchange.request.headers.__delitem__("traceparent"),
        ),
    ),
    _saboteur(
        "preflight-allowed",
        "header-forgotten",
        "The preflight does not allow the Authorization header.",
        http_lie(_PREFLIGHT, _fewer_headers),
    ),
    _saboteur(
        "preflight-refused",
        "any-page",
        "The preflight echoes any origin.",
        http_lie(_from(BAD_ORIGIN, _PREFLIGHT), _permit),
    ),
    _saboteur(
        "token-vary-origin",
        "cache-mixes-pages",
        "A token's answer does not say that it depends on the origin.",
        http_lie(TOKEN, without_header("vary"), status=200),
    ),
    _saboteur(
        "health-head",
        "get-only",
        "HEAD on the health route is refused.",
        answers_instead(to(ROUTES.health, "HEAD"), lambda exchange: made(405, {})),
    ),
    _saboteur(
        "garbage-bytes-400",
        "parser-answers",
        "The HTTP parser's own page answers what is not HTTP.",
        Lie(nonsense=_PLAIN),
    ),
)
