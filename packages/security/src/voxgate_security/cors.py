"""Judges the ``Origin`` of HTTP requests before any handler runs, and writes the CORS headers of the answers.

Source: the Fetch standard, section 3.2 (CORS protocol). Credentials here are tokens in headers, never cookies, so
``Access-Control-Allow-Credentials`` is never sent and neither is ``*``: an answer names the one origin it is for.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from voxgate_core import OriginGate, VoxgateError

__all__ = ["ALLOWED_HEADERS", "ALLOWED_METHODS", "EXPOSED_HEADERS", "ORIGIN_KEY", "CorsMiddleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

ORIGIN_KEY: Final = "voxgate.origin"
"""Where the ASGI scope of a judged request holds the admitted origin, or ``None`` for a client that sent none."""

MAX_AGE_SECONDS: Final = 600
ALLOWED_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ALLOWED_HEADERS: Final = (
    "authorization", "api-key", "content-type", "idempotency-key", "last-event-id", "traceparent", "tracestate",
    # what the official OpenAI clients add to every request when they run in a browser
    "openai-beta", "openai-organization", "openai-project", "openai-safety-identifier",
    "x-stainless-arch", "x-stainless-helper-method", "x-stainless-lang", "x-stainless-os",
    "x-stainless-package-version", "x-stainless-retry-count", "x-stainless-runtime", "x-stainless-runtime-version",
    "x-stainless-timeout",
)  # fmt: skip
EXPOSED_HEADERS: Final = (
    "x-trace-id", "traceparent", "retry-after", "ratelimit", "ratelimit-policy", "www-authenticate", "location",
)  # fmt: skip

_OURS: Final = frozenset(
    {b"access-control-allow-origin", b"access-control-allow-credentials", b"access-control-expose-headers"}
)


class CorsMiddleware:
    """Pure ASGI. Goes inside the layer that renders :class:`VoxgateError`, around everything with a handler.

    On ``guarded`` path prefixes an origin that ``policy`` refuses raises ``origin_refused`` (403), preflights
    included, and the application never sees the request; the admitted origin is left in ``scope["voxgate.origin"]``.
    ``exempt`` paths answer everybody, and are readable by pages of admitted origins. Every answer says
    ``Vary: Origin``, as does every :class:`VoxgateError` on its way out. Other exceptions pass as they are: an inner
    FastAPI answers them through this middleware before it lets them go.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: OriginGate,
        *,
        guarded: Iterable[str] = ("/api/", "/v1/", "/openai/"),
        exempt: Iterable[str] = ("/api/health",),
    ) -> None:
        self._app = app
        self._policy = policy
        self._guarded = tuple(guarded)
        self._exempt = frozenset(exempt)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        origin = None
        try:
            if path.startswith(self._guarded):
                preflight = _is_preflight(scope, origins)
                origin = self._judge(origins, lenient=path in self._exempt and not preflight)
                scope[ORIGIN_KEY] = origin
                if preflight and origin is not None:
                    await _answer_preflight(origin, send)
                    return
            await self._app(scope, receive, _with_headers(send, origin))
        except VoxgateError as error:
            raise _marked(error, origin) from error.__cause__

    def _judge(self, origins: list[bytes], *, lenient: bool) -> str | None:
        try:
            return self._policy.admit(origins)
        except VoxgateError:
            if lenient:
                return None
            raise


def _is_preflight(scope: Scope, origins: list[bytes]) -> bool:
    if scope["method"] != "OPTIONS" or not origins:
        return False
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


async def _answer_preflight(origin: str, send: Send) -> None:
    headers = [
        (b"access-control-allow-origin", origin.encode("ascii")),
        (b"access-control-allow-methods", ", ".join(ALLOWED_METHODS).encode("ascii")),
        (b"access-control-allow-headers", ", ".join(ALLOWED_HEADERS).encode("ascii")),
        (b"access-control-max-age", str(MAX_AGE_SECONDS).encode("ascii")),
        (b"vary", b"Origin"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _with_headers(send: Send, origin: str | None) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message.get("headers", ()) if pair[0].lower() not in _OURS]
            varied = b", ".join(value for name, value in headers if name.lower() == b"vary")
            headers = [pair for pair in headers if pair[0].lower() != b"vary"]
            headers.append((b"vary", _vary(varied.decode("latin-1")).encode("latin-1")))
            headers += [(name.lower().encode(), value.encode()) for name, value in _reading_headers(origin).items()]
            message = {**message, "headers": headers}
        await send(message)

    return send_with_headers


def _vary(existing: str) -> str:
    members = [member.strip() for member in existing.split(",") if member.strip()]
    if "*" in members or "origin" in (member.lower() for member in members):
        return ", ".join(members)
    return ", ".join([*members, "Origin"])


def _reading_headers(origin: str | None) -> dict[str, str]:
    if origin is None:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": ", ".join(EXPOSED_HEADERS)}


def _marked(error: VoxgateError, origin: str | None) -> VoxgateError:
    """The same refusal with the headers that let an admitted page read it, and keep caches from mixing pages up."""
    headers = {name: value for name, value in error.headers.items() if name.lower() != "vary"}
    existing = ", ".join(value for name, value in error.headers.items() if name.lower() == "vary")
    headers |= {"Vary": _vary(existing), **_reading_headers(origin)}
    return VoxgateError(
        error.code, error.message, details=error.details, retry_after=error.retry_after, headers=headers
    )
