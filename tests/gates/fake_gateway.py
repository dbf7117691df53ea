"""A small gateway that keeps the promises the gates check, and breaks one of them when told to lie.

It reads the settings a real one reads, and is built from asyncio streams and the sans-I/O half of ``websockets``.
"""

import asyncio
import hashlib
import json
import socket
from collections.abc import Mapping
from typing import Self

from tests.gates.fake_fanout import FakeFanout
from tests.gates.fake_http import Refusal, Request, Response
from tests.gates.fake_php import answer_php
from tests.gates.fake_tokens import sign
from tests.gates.fake_voice import Kept, Live, converse
from voxgate_gates import Credentials, Target
from voxgate_gates.harness import ORIGIN, OTHER_ORIGIN

__all__ = ["FakeGateway", "fake_target"]

MAX_BODY = 64 * 1024
MAX_TTL = {"dev": 600, "preview": 300, "prod": 300}

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


class FakeGateway:
    """Serve with ``async with``; ``url`` says where. ``lies`` names the promises to break."""

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        lies: frozenset[str] = frozenset(),
        listener: socket.socket | None = None,
        credential_seconds: float = 2.2,
    ) -> None:
        self.settings = settings
        self.lies = lies
        self.credential_seconds = credential_seconds
        self.origins = settings["ALLOWED_ORIGINS"].split(",")
        self.secret = settings["JWT_SECRET"].partition(":")[2]
        stored = [row.split(":") for row in settings["VOXGATE_API_KEYS"].split(",")]
        self.roles = {digest: role for _, role, digest in stored}
        self.spent: set[object] = set()
        self.live: dict[object, Live] = {}
        self.kept: dict[object, Kept] = {}
        self.fanout = FakeFanout(lies)
        self.url = ""
        self.upgraded = asyncio.Event()
        self._listener = listener
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._connected, sock=self._listener, limit=256 * 1024)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for live in self.live.values():
            live.gone.set()
        await self._server.wait_closed()

    def lies_about(self, promise: str) -> bool:
        return promise in self.lies

    def admits(self, origin: str | None) -> bool:
        if origin == "null":
            return self.lies_about("null-origin")
        return origin is None or origin in self.origins

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request = self._parse(head)
            if request is not None and request.headers.get("upgrade") == "websocket":
                self.upgraded.set()
                await converse(self, request.path, request.headers, head, reader, writer)
                return
            if request is None:
                if self.lies_about("garbage-silence"):
                    return
                response = self._refuse(Refusal(400, "bad_request"), plain=self.lies_about("plain-400"))
                request = Request("", "", {})
            else:
                length = int(request.headers.get("content-length", "0"))
                request.body = await reader.readexactly(length)
                response = self._answer(request)
            writer.write(self._render(request, response))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a client that went away is no concern of a fake's
        finally:
            writer.close()

    def _parse(self, head: bytes) -> Request | None:
        line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        words = line.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[0].isalpha():
            return None
        pairs = [entry.partition(":") for entry in lines]
        request = Request(words[0], words[1], {name.strip().lower(): value.strip() for name, _, value in pairs})
        parent = request.headers.get("traceparent", "").split("-")
        if len(parent) == 4 and not self.lies_about("own-trace"):
            request.trace_id = parent[1]
        if self.lies_about("fixed-trace"):
            request.trace_id = "ab" * 16
        return request

    def _answer(self, request: Request) -> Response:
        try:
            return self._route(request)
        except Refusal as refusal:
            plain = self.lies_about(f"plain-{refusal.status}")
            return self._refuse(refusal, plain=plain)

    def _route(self, request: Request) -> Response:
        path = request.path.partition("?")[0]
        if path == "/api/health":
            return self._health(request)
        if path.startswith("/api/voice/fanout/stub"):
            return self._stub(request, path.removeprefix("/api/voice/fanout/stub").removeprefix("/"))
        if (answered := answer_php(request, self.lies)) is not None:
            return answered
        handlers = {
            "/api/realtime/token": self._token,
            "/v1/realtime/client_secrets": self._client_secret,
            "/api/realtime/revoke": self._revoke,
            "/api/voice/fanout": self._fanout,
        }
        if path not in handlers:
            raise Refusal(404, "not_found")
        if request.method == "OPTIONS":
            return self._preflight(request)
        if request.method != "POST":
            raise Refusal(405, "method_not_allowed", Allow="POST, OPTIONS")
        if self.lies_about("credential-first"):
            self._role(request)
        if not self.admits(request.origin) and not self.lies_about("any-origin"):
            raise Refusal(403, "origin_refused")
        return handlers[path](request)

    def _health(self, request: Request) -> Response:
        if self.lies_about("health-404"):
            raise Refusal(404, "not_found")
        if request.method == "HEAD" and self.lies_about("head-405"):
            raise Refusal(405, "method_not_allowed", Allow="GET")
        body: dict[str, object] = {"success": True, "status": "ok", "version": "0", "checks": {}}
        return Response(200, body)

    def _preflight(self, request: Request) -> Response:
        if not self.admits(request.origin) and not self.lies_about("any-preflight"):
            raise Refusal(403, "origin_refused")
        allowed = "*" if self.lies_about("wildcard-preflight") else str(request.origin)
        return Response(
            204,
            None,
            {
                "access-control-allow-origin": allowed,
                "access-control-allow-methods": "POST, OPTIONS",
                "access-control-allow-headers": "Authorization, Content-Type",
            },
        )

    def _role(self, request: Request) -> str:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if not key or scheme != "Bearer":
            if self.lies_about("anonymous-token"):
                return "operator"
            named = {} if self.lies_about("no-www-authenticate") else {"WWW_Authenticate": 'Bearer realm="fake"'}
            raise Refusal(401, "credential_missing", **named)
        role = self.roles.get(hashlib.sha256(key.encode()).hexdigest())
        if role is None and not self.lies_about("any-key"):
            raise Refusal(401, "credential_invalid", WWW_Authenticate='Bearer realm="fake"')
        return role or "issuer"

    def _body(self, request: Request) -> Mapping[str, object]:
        if len(request.body) > MAX_BODY and not self.lies_about("any-size"):
            raise Refusal(413, "body_too_large")
        if not request.body.strip():
            return {}
        kind = request.headers.get("content-type", "")
        if kind != "application/json" and not self.lies_about("any-content-type"):
            raise Refusal(415, "unsupported_media_type")
        try:
            body = json.loads(request.body)
        except ValueError:
            code = "internal_error" if self.lies_about("malformed-500") else "malformed_json"
            raise Refusal(500 if self.lies_about("malformed-500") else 400, code) from None
        return body if isinstance(body, dict) else {}

    def _issue(self, request: Request, subject: object, wanted: object) -> tuple[str, int, int]:
        limit = MAX_TTL[self.settings["VOXGATE_ENV"]]
        seconds = int(str(wanted or limit))
        if not self.lies_about("uncapped"):
            seconds = min(seconds, limit)
        if self.lies_about("stretches-ttl"):
            seconds = limit
        lived = seconds + 3600 if self.lies_about("long-tokens") else seconds
        token, claims = sign(self.secret, subject=str(subject), origin=request.origin, seconds=lived)
        return token, int(str(claims["exp"])), seconds

    def _token(self, request: Request) -> Response:
        self._role(request)
        body = self._body(request)
        if self.lies_about("no-tokens"):
            raise Refusal(503, "unavailable")
        if self.lies_about("token-404"):
            raise Refusal(404, "not_found")
        if self.lies_about("token-400") or (self.lies_about("refuses-long-ttl") and body.get("ttl")):
            raise Refusal(400, "invalid_input")
        token, expires_at, seconds = self._issue(request, body.get("sub", "somebody"), body.get("ttl"))
        data = {"token": token, "expiresAt": expires_at, "expiresIn": seconds, "url": f"ws{self.url[4:]}/realtime"}
        legacy = {} if self.lies_about("no-legacy") else {"token": token, "expiresAt": expires_at}
        headers = {"cache-control": "public, max-age=60"} if self.lies_about("cacheable") else {}
        if self.lies_about("echo-key"):
            headers["x-caller"] = request.headers["authorization"]
        return Response(200, {"success": True, "data": data, **legacy}, headers)

    def _client_secret(self, request: Request) -> Response:
        self._role(request)
        body = self._body(request)
        after = body.get("expires_after")
        token, expires_at, _ = self._issue(request, "somebody", after["seconds"] if isinstance(after, dict) else None)
        if self.lies_about("late-expires-at"):
            expires_at += 60
        granted = {"value": f"ek_{token}", "expires_at": expires_at, "session": {"type": "realtime"}}
        return Response(200, {"success": True, "data": granted} if self.lies_about("enveloped-secret") else granted)

    def _revoke(self, request: Request) -> Response:
        if not self.lies_about("open-revoke") and self._role(request) != "operator":
            if not self.lies_about("issuer-revokes"):
                raise Refusal(403, "role_refused")
        live = self.live.get(self._body(request).get("sessionId"))
        if live is not None:
            live.revoked.set()
        if self.lies_about("revoke-500"):
            raise Refusal(500, "internal_error")
        return Response(200, {"success": True, "data": {"revoked": {}}})

    def _fanout(self, request: Request) -> Response:
        if not self.lies_about("open-fanout"):
            self._role(request)
        return self.fanout.post(request)

    def _stub(self, request: Request, event_id: str) -> Response:
        if self.lies_about("stub-off"):
            raise Refusal(404, "not_found")
        if request.method == "POST":
            return self.fanout.receive(request)
        if self._role(request) != "operator":
            raise Refusal(403, "role_refused")
        return self.fanout.received(event_id)

    def _refuse(self, refusal: Refusal, *, plain: bool = False) -> Response:
        headers = {name.lower(): value for name, value in refusal.headers.items()}
        if plain:
            return Response(refusal.status, {"detail": refusal.code}, headers, plain=True)
        problem = {
            "success": False,
            "error": {"code": refusal.code, "message": "a fake refusal"},
            "type": f"urn:voxgate:error:{refusal.code}",
            "title": "Refused",
            "status": refusal.status,
            "detail": "a fake refusal",
            "instance": "/",
        }
        return Response(refusal.status, problem, {"content-type": "application/problem+json", **headers})

    def _render(self, request: Request, response: Response) -> bytes:
        headers = {"content-type": "application/json", **HEADERS, **response.headers, "connection": "close"}
        if self.lies_about("headers-on-success-only") and response.status >= 400:
            headers = {name: value for name, value in headers.items() if name not in HEADERS}
        if self.admits(request.origin) and request.origin is not None and response.status != 204:
            headers["access-control-allow-origin"] = request.origin
        elif self.lies_about("acao-on-refusal") and request.origin is not None:
            headers["access-control-allow-origin"] = request.origin
        if not self.lies_about("no-vary"):
            headers["vary"] = "Origin"
        headers["x-trace-id"] = "0" * 31 + "1" if self.lies_about("trace-header-differs") else request.trace_id
        body = response.body
        if isinstance(body, dict) and "value" not in body and not response.plain:
            body = {**body, "traceId": request.trace_id}
        content = b"" if body is None else json.dumps(body).encode()
        headers["content-length"] = str(len(content))
        if request.method == "HEAD" and not self.lies_about("head-body"):
            content = b""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {response.status} Fake\r\n{head}\r\n".encode("latin-1") + content


def fake_target(gateway: FakeGateway, made: Credentials, **changes: object) -> Target:
    """The target that the harness would make of this gateway."""
    given: dict[str, object] = {
        "environment": gateway.settings["VOXGATE_ENV"],
        "key": made.operator_key,
        "issuer_key": made.issuer_key,
        "origin": ORIGIN,
        "other_origin": OTHER_ORIGIN,
        "secrets": (made.signing_secret,),
        **changes,
    }
    return Target(gateway.url, **given)  # type: ignore[arg-type] # each value is of its field's type, by name
