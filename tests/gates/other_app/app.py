"""An app that is not voxgate and keeps the same promises: FastAPI, its token route and health elsewhere. It imports nothing of it.

`KEY`, `SIGNING_SECRET` and `ORIGINS` (a comma list) are its settings.
"""

import hmac
import json
import os
import re
import secrets
import time
from http import HTTPStatus

import jwt
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as RoutingError
from starlette.middleware.base import RequestResponseEndpoint

MAX_BODY = 64 * 1024
TTL = 300
ROUTE = "/voice/session-key"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Vary": "Origin",
}
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

app = FastAPI(openapi_url=None)


@app.middleware("http")
async def shape(request: Request, call_next: RequestResponseEndpoint) -> Response:
    given = TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    request.state.trace_id = given[1] if given else secrets.token_hex(16)
    response = await call_next(request)
    response.headers.update({**HEADERS, "X-Trace-Id": request.state.trace_id})
    return response


@app.exception_handler(RoutingError)
async def problem(request: Request, error: RoutingError) -> Response:
    words = HTTPStatus(error.status_code)
    body = {
        "success": False,
        "traceId": request.state.trace_id,
        "error": {"code": words.name.lower(), "message": words.phrase},
        "type": "about:blank",
        "title": words.phrase,
        "status": error.status_code,
        "detail": words.description or words.phrase,
        "instance": request.url.path,
    }
    return JSONResponse(body, error.status_code, error.headers, media_type="application/problem+json")


def success(request: Request, data: dict[str, object], **legacy: object) -> Response:
    return JSONResponse({"success": True, "traceId": request.state.trace_id, "data": data, **legacy})


def admitted(request: Request) -> str | None:
    """The page's origin, where it is one of ours."""
    origin = request.headers.get("origin")
    if origin is not None and origin not in os.environ["ORIGINS"].split(","):
        raise HTTPException(403)
    return origin


def allowing(response: Response, origin: str | None) -> Response:
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
    return response


async def asked(request: Request) -> dict[str, object]:
    """The JSON object of the body, read no further than MAX_BODY."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415)
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            raise HTTPException(413)
    try:
        body = json.loads(content)
    except ValueError:
        raise HTTPException(400) from None
    if not isinstance(body, dict):
        raise HTTPException(400)
    return body


@app.api_route(ROUTE, methods=["POST", "OPTIONS"])
async def session_key(request: Request) -> Response:
    origin = admitted(request)
    if request.method == "OPTIONS":
        names = {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "authorization, content-type"}
        return allowing(Response(status_code=204, headers=names), origin)
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), os.environ["KEY"].encode()):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    body = await asked(request)
    now = int(time.time())
    life = min(int(str(body.get("ttl", TTL))), TTL)
    claims = {"sub": str(body.get("sub", "")), "iat": now, "exp": now + life, "jti": secrets.token_hex(16)}
    token = jwt.encode(claims, os.environ["SIGNING_SECRET"], "HS256")
    data = {"token": token, "expiresAt": now + life, "expiresIn": life, "url": "/voice"}
    return allowing(success(request, data, token=token, expiresAt=now + life), origin)


@app.api_route("/healthz", methods=["GET", "HEAD"])
async def health(request: Request) -> Response:
    return success(request, {"status": "ok"}, status="ok")
