"""Every HTTP route, asked of the routers that a gateway is put together from, by their OpenAPI document."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from reference_pages.markdown import heading, table
from voxgate_fanout import create_router as create_fanout_router
from voxgate_gateway.routes import create_router
from voxgate_gateway.store.routes import create_router as create_conversations_router
from voxgate_realtime import PATHS
from voxgate_responder import respond
from voxgate_responder.endpoints import create_stub_router
from voxgate_security import create_router as create_token_router

__all__ = ["documented", "routes"]


class _Anything:
    """Has every attribute, each of the same kind."""

    def __getattr__(self, name: str) -> "_Anything":
        return self


NOTHING: Final[Any] = None
"""What stands behind the routes, which are only named here and never called."""

SOMETHING: Final[Any] = _Anything()
"""The same, where its absence would take routes away, or what it consists of is looked up beforehand."""

SUBJECTS: Final = {
    "tokens": "Tokens",
    "fan-out": "Fan-out",
    "conversations": "Conversations",
    "endpoints": "The seven endpoints",
}

PAGES: Final = {
    "Tokens": "[Security](../SECURITY.md)",
    "Fan-out": "[Fan-out](../fanout.md)",
    "Conversations": "[Conversations](../conversations.md)",
    "The seven endpoints": "[PHP](../php.md)",
    "The process itself": "[Observability](../OBSERVABILITY.md)",
}


def documented() -> dict[str, Any]:
    """The ``paths`` of the OpenAPI document, with everything switched on; the WebSockets are not part of it."""
    app = FastAPI()
    app.include_router(create_token_router(NOTHING, respond))
    app.include_router(create_router(NOTHING, respond, metrics=SOMETHING))
    app.include_router(create_conversations_router(NOTHING, NOTHING, respond))
    app.include_router(create_fanout_router(SOMETHING, NOTHING, respond, stub=SOMETHING, admission=NOTHING))
    app.include_router(create_stub_router(respond, NOTHING))
    paths: dict[str, Any] = app.openapi()["paths"]
    return {path: methods for path, methods in paths.items() if path not in PATHS}


def routes() -> Iterator[str]:
    """A table for each subject, and one for the WebSockets."""
    yield from heading("Routes")
    yield "A running gateway serves the whole document at `/openapi.json`. Every refusal is a row of"
    yield "[Errors](errors.md)."
    rows: dict[str, list[tuple[str, str, str]]] = {subject: [] for subject in PAGES}
    for path, methods in documented().items():
        for method, operation in methods.items():
            subject = SUBJECTS.get(next(iter(operation.get("tags", [])), ""), "The process itself")
            rows[subject].append((f"`{method.upper()}`", f"`{path}`", operation["summary"]))
    for subject, own in rows.items():
        yield ""
        yield f"## {subject}"
        yield ""
        yield f"More in {PAGES[subject]}."
        yield ""
        yield from table(("method", "path", "what it does"), own)
    yield ""
    yield "## WebSockets"
    yield ""
    yield "More in [Realtime](../realtime.md); what they close with is in [Close codes](close-codes.md)."
    yield ""
    yield from table(("path", "dialect"), ((f"`{path}`", dialect.name.lower()) for path, dialect in PATHS.items()))
