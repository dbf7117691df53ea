"""The shared vectors of the envelope, and what Python answers to their calls."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.types import Message, Receive, Scope, Send

from voxgate_responder import EnvelopeMiddleware, json_error, json_success

__all__ = ["FOLDER", "VECTORS", "answer_of", "untagged"]

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "envelope"
VECTORS: list[dict[str, Any]] = [
    vector for path in sorted(FOLDER.glob("*.json")) for vector in json.loads(path.read_text("utf-8"))
]


def untagged(value: Any) -> Any:
    """An argument with its tags replaced by what they stand for; ``php_shim/tools/vectors.py`` names them."""
    if isinstance(value, list):
        return [untagged(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("$digits", str(digits))]:
            return int(digits)
        case [("$float", str(text))]:
            return float(text)
        case [("$nest", int(levels))]:
            nested: list[Any] = []
            for _ in range(levels - 1):
                nested = [nested]
            return nested
    return {name: untagged(inner) for name, inner in value.items()}


def answer_of(call: str, arguments: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body as the middleware sends them."""
    given = {name: untagged(value) for name, value in arguments.items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if call == "success":
            response = json_success(given["data"], legacy=given.get("legacy"), status=given.get("status", 200))
        else:
            response = json_error(
                given["code"],
                given.get("message"),
                status=given.get("status"),
                details=given.get("details"),
                legacy=given.get("legacy"),
            )
        await response(scope, receive, send)

    target = given.get("target", "/api/vector.php")
    path, _, query = target.partition("?")
    sent: list[Message] = []
    scope: Scope = {
        "type": "http", "method": "GET", "path": unquote(path), "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"traceparent", given["traceparent"].encode())],
        "scheme": "https" if given.get("https") else "http",
    }  # fmt: skip

    async def run() -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await EnvelopeMiddleware(app)(scope, receive, send)

    asyncio.run(run())
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message["body"] for message in sent[1:])
