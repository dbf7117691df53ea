"""The gateway as a process: its ready line, its stop, and what it survives."""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys

import httpx
import pytest

from tests.gateway.rig import PREVIEW
from tests.helpers.envelope import assert_envelope, assert_problem
from voxgate_gates.harness import running_target

SERVE = (sys.executable, "-m", "voxgate_gateway", "serve", "--port", "0")


async def start(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "COVERAGE", "LANG"))}
    return await asyncio.create_subprocess_exec(
        *SERVE, *arguments, env={**kept, **environ}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_dev_gateway_says_one_line_answers_and_stops_when_told(number: signal.Signals) -> None:
    process = await start()
    assert process.stdout is not None
    line = json.loads(await process.stdout.readline())
    assert set(line) == {"event", "url", "pid", "devKey"}
    assert (line["event"], line["pid"]) == ("ready", process.pid)
    async with httpx.AsyncClient(base_url=line["url"], trust_env=False) as http:
        assert_envelope(await http.get("/api/health"))
        headers = {"Authorization": f"Bearer {line['devKey']}"}
        token = assert_envelope(await http.post("/api/realtime/token", headers=headers))
        assert token["data"]["expiresIn"] == 600
    process.send_signal(number)
    rest, logs = await process.communicate()
    assert rest == b""
    assert process.returncode == {signal.SIGTERM: -number, signal.SIGINT: 0}[number]
    assert line["devKey"].encode() not in logs
    assert token["data"]["token"].encode() not in logs
    for entry in logs.splitlines():
        assert json.loads(entry)["level"] in ("INFO", "WARNING")


async def test_preview_names_no_key_in_its_ready_line_and_tokens_live_5_minutes() -> None:
    async with running_target("preview") as target, httpx.AsyncClient(base_url=target.url, trust_env=False) as http:
        headers = {"Authorization": f"Bearer {target.key}"}
        answer = assert_envelope(await http.post("/api/realtime/token", headers=headers))
        assert answer["data"]["expiresIn"] == 300


async def test_garbage_of_every_kind_leaves_the_process_answering() -> None:
    async with running_target("preview") as target, httpx.AsyncClient(base_url=target.url, trust_env=False) as http:
        upgrade = b"GET /realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        upgrade += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        prefixes = [b"", upgrade, b"POST /api/realtime/token HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"]
        for number in range(60):
            with socket.create_connection((target.host, target.port), timeout=10) as peer:
                peer.sendall(prefixes[number % 3] + secrets.token_bytes(2000))
                peer.settimeout(10)
                if number % 2:
                    peer.recv(64)
        assert_envelope(await http.get("/api/health"))
        assert_problem(await http.get("/nothing"), 404, "not_found")


async def test_prod_refuses_to_start_on_faults_and_lists_them_all() -> None:
    bad = {**PREVIEW, "VOXGATE_ENV": "prod", "ALLOWED_ORIGINS": "http://localhost:1", "JWT_SECRET": "k:changeme"}
    process = await start(**bad)
    out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    for fault in (b"localhost", b"at least 32", b"an example"):
        assert fault in err
    assert b"Traceback" not in err
