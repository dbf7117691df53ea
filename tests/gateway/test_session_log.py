import json
import logging

import pytest
from websockets.asyncio.client import connect

from tests.gateway.rig import close_code_of, served

TRACE = "0af7651916cd43dd8448eb211c80319c"


def lines_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "voxgate.sessions"]


async def test_a_session_leaves_a_line_when_it_opens_and_one_when_it_closes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with served() as gateway:
        token = await gateway.token(sub="ada")
        async with connect(
            f"{gateway.ws_url}/realtime", additional_headers={"Authorization": f"Bearer {token}"}
        ) as client:
            session = json.loads(await client.recv())["sessionId"]
    opened, closed = lines_of(caplog)
    assert (opened.getMessage(), closed.getMessage()) == ("session opened", "session closed")
    assert vars(opened)["session"] == vars(closed)["session"] == session
    assert vars(closed)["close_code"] == 1000
    assert token not in caplog.text


async def test_a_refused_socket_leaves_a_line_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with served() as gateway, connect(f"{gateway.ws_url}/v1/realtime") as client:
        assert await close_code_of(client) == 4001
    [line] = lines_of(caplog)
    assert (line.getMessage(), vars(line)["code"], vars(line)["close_code"]) == (
        "session refused", "credential_missing", 4001,
    )  # fmt: skip
