import contextlib

import pytest
from starlette.types import Message, Receive, Scope, Send

from voxgate_core import VoxgateError
from voxgate_gateway.decisions import TokenDecisions
from voxgate_responder import REFUSAL_KEY


async def decisions_of(status: int | None, *, path: str = "/api/realtime/token", method: str = "POST") -> list[str]:
    """What is noted of one request that is answered with ``status``, or refused for its origin when that is ``None``."""
    noted: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if status is None:
            raise VoxgateError("origin_refused")
        if status == 401:
            scope[REFUSAL_KEY] = VoxgateError("credential_missing")  # as the handler of the application does
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def sent(message: Message) -> None:
        return None

    told = TokenDecisions(app, lambda refusal: noted.append("issued" if refusal is None else refusal.code))
    scope: Scope = {"type": "http", "path": path, "method": method}
    with contextlib.suppress(VoxgateError):
        await told(scope, nothing, sent)
    return noted


@pytest.mark.parametrize("path", ["/api/realtime/token", "/v1/realtime/client_secrets"])
async def test_a_token_that_was_issued_and_one_that_was_refused_are_told(path: str) -> None:
    assert await decisions_of(200, path=path) == ["issued"]
    assert await decisions_of(None, path=path) == ["origin_refused"]
    assert await decisions_of(401, path=path) == ["credential_missing"]


async def test_other_requests_are_nobodys_decision() -> None:
    assert await decisions_of(200, path="/api/health") == []
    assert await decisions_of(200, method="OPTIONS") == []
    assert await decisions_of(204) == []
