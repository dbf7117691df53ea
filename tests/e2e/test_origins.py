"""One verdict in three places: HTTP, preflight and the WebSocket handshake, through the real gateway."""

import asyncio
import base64

import pytest

from tests.gateway.rig import PREVIEW, Served, served
from tests.helpers.origin_cases import ALLOWED, CASES, ENVIRONMENT, MISSING, OriginCase

SETTINGS = {
    **PREVIEW,
    "VOXGATE_ENV": ENVIRONMENT.value,
    "ALLOWED_ORIGINS": ",".join(ALLOWED),
    "VOXGATE_MISSING_ORIGIN": MISSING.value,
}
KEY = base64.b64encode(bytes(16))


async def answer_to(gateway: Served, lines: list[bytes], origins: list[bytes]) -> int:
    """The status of one raw request, on a connection of its own."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    origin_lines = [b"Origin: " + value for value in origins]
    writer.write(b"\r\n".join([*lines, b"Host: gateway", *origin_lines, b"", b""]))
    status = int((await reader.readline()).split(b" ")[1])
    writer.transport.abort()
    return status


async def verdicts(gateway: Served, case: OriginCase) -> dict[str, bool]:
    """Whether each place let the case in."""
    http = [b"POST /api/realtime/token HTTP/1.1", b"Content-Length: 0", b"Connection: close"]
    preflight = [b"OPTIONS /api/realtime/token HTTP/1.1", b"Access-Control-Request-Method: POST", b"Connection: close"]
    socket = [
        b"GET /realtime HTTP/1.1",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + KEY,
    ]
    return {
        "http": await answer_to(gateway, http, case.values) == 401,  # past the origin, and without a credential
        "preflight": await answer_to(gateway, preflight, case.values) == 204,
        "websocket": await answer_to(gateway, socket, case.values) == 101,
    }


async def test_every_case_gets_the_same_verdict_in_all_three_places() -> None:
    assert len(CASES) >= 250
    wrong = {}
    async with served(SETTINGS) as gateway:
        for case in CASES:
            given = await verdicts(gateway, case)
            if not case.values:
                given.pop("preflight")  # an OPTIONS request without Origin is no preflight
            if set(given.values()) != {case.allowed}:
                wrong[case.id] = given
    assert wrong == {}


@pytest.mark.parametrize("after", [b" ", b"\t", b"  \t", b" x"])
async def test_white_space_behind_an_origin_gets_one_verdict_too(after: bytes) -> None:
    case = OriginCase("white-space", [ALLOWED[0].encode() + after], allowed=False)
    async with served(SETTINGS) as gateway:
        assert set((await verdicts(gateway, case)).values()) == {False}


@pytest.mark.parametrize("path", [b"/v1/realtime", b"/openai/v1/realtime"])
async def test_the_openai_paths_judge_origins_too(path: bytes) -> None:
    lines = [
        b"GET " + path + b" HTTP/1.1",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + KEY,
    ]
    async with served(SETTINGS) as gateway:
        assert await answer_to(gateway, lines, [b"https://evil.example"]) == 403
        assert await answer_to(gateway, lines, [ALLOWED[0].encode()]) == 101
