"""Who is turned away over HTTP leaves a line in the log, and a flood of them does not leave a flood."""

import json
import logging

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.gateway.rig import served
from voxgate_core import ManualClock, VoxgateError, new_trace
from voxgate_gateway.refusal_log import LINES_A_SECOND, RefusalLines, RefusalLog
from voxgate_observability import configure
from voxgate_responder import REFUSAL_KEY


async def nothing(*_: object) -> dict[str, object]:
    return {}


def scope(path: str = "/x") -> dict[str, object]:
    return {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"token=secret"}


async def refuse(*_: object) -> None:
    raise VoxgateError("credential_invalid")


async def test_a_refusal_is_written_with_its_code_and_the_trace_of_its_answer(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served() as gateway:
        configure("INFO", human=False)
        answer = await gateway.http.post(
            "/api/realtime/token?x=hidden", headers={"Authorization": "Bearer vk_nobody-knows-this-key"}
        )
        away = await gateway.http.post("/api/realtime/token", headers={"Origin": "https://evil.example"})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"request refused"' in line]
    told = [(line["traceId"], line["status"], line["code"], line["path"]) for line in lines]
    assert told == [
        (answer.headers["x-trace-id"], 401, "credential_invalid", "/api/realtime/token"),
        (away.headers["x-trace-id"], 403, "origin_refused", "/api/realtime/token"),
    ]
    assert not [word for word in ("hidden", "nobody-knows") if word in json.dumps(lines)]


async def test_an_upgrade_from_elsewhere_leaves_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    async with served() as gateway:
        configure("INFO", human=False)
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{gateway.ws_url}/realtime?token=hidden", origin=Origin("https://evil.example"))
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"request refused"' in line]
    assert line["traceId"] == refused.value.response.headers["x-trace-id"]
    assert (line["method"], line["path"], line["status"], line["code"]) == ("GET", "/realtime", 403, "origin_refused")
    assert "hidden" not in json.dumps(line)


async def test_upgrades_and_requests_share_one_bound(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = RefusalLines(ManualClock())
    log = RefusalLog(refuse, lines)
    for _ in range(LINES_A_SECOND):
        lines.note_upgrade(VoxgateError("origin_refused"), new_trace(), "/realtime")
        with pytest.raises(VoxgateError):
            await log(scope(), nothing, nothing)  # type: ignore[arg-type]
    assert len(caplog.records) == LINES_A_SECOND


async def test_a_flood_is_counted_and_not_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock(1000)
    log = RefusalLog(refuse, RefusalLines(clock))
    for _ in range(LINES_A_SECOND + 7):
        with pytest.raises(VoxgateError):
            await log(scope(), nothing, nothing)  # type: ignore[arg-type]
    assert len(caplog.records) == LINES_A_SECOND
    clock.advance(1)
    with pytest.raises(VoxgateError):
        await log(scope("/" + "p" * 500), nothing, nothing)  # type: ignore[arg-type]
    last = caplog.records[-1].__dict__
    assert (last["unwritten"], len(last["path"])) == (7, 128)


async def test_what_is_the_senders_own_fault_or_no_fault_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def answer(inner: dict[str, object], _: object, send: object) -> None:
        if inner["path"] == "/bad":
            inner[REFUSAL_KEY] = VoxgateError("malformed_json")
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]

    log = RefusalLog(answer, RefusalLines(ManualClock(0)))  # type: ignore[arg-type]
    for path in ("/", "/bad"):
        await log(scope(path), nothing, nothing)  # type: ignore[arg-type]
    assert caplog.records == []
