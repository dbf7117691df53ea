"""The three applications that are compared: a bare FastAPI route in two ways, and the same route in the envelope."""

from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from voxgate_core import Answer
from voxgate_responder import EnvelopeMiddleware, install, respond

__all__ = ["DATA", "bare_dict", "bare_response", "envelope"]

DATA: Final[dict[str, Any]] = {
    "conversations": [
        {"id": f"conv_{number:04d}", "title": "What does it cost?", "createdAt": 1_764_000_000, "turns": 4}
        for number in range(10)
    ],
    "nextCursor": "conv_0009",
}
"""What each of them answers: about a kilobyte, as an endpoint of this gateway does."""

bare_dict = FastAPI()
bare_response = FastAPI()
_inner = FastAPI()
install(_inner)


@bare_dict.get("/api/sample")
async def _dict() -> dict[str, Any]:
    return DATA


@bare_response.get("/api/sample")
async def _response() -> Response:
    return JSONResponse(DATA)


@_inner.get("/api/sample")
async def _enveloped() -> Response:
    return respond(Answer(DATA))


envelope = EnvelopeMiddleware(_inner)
