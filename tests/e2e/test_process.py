"""The gateway as a process: its ready line, its stop, and what it survives."""

import json
import secrets
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.gateway.processes import ran, started
from tests.gateway.rig import PREVIEW
from tests.helpers.envelope import assert_envelope, assert_problem
from voxgate_gates.harness import running_target


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_dev_gateway_says_one_line_answers_and_stops_when_told(number: signal.Signals, tmp_path: Path) -> None:
    async with started(tmp_path / "data", environ={}) as process:
        line = process.ready
        assert set(line) == {"event", "url", "pid", "devKey"}
        assert (line["event"], line["pid"]) == ("ready", process.pid)
        async with httpx.AsyncClient(base_url=process.url, trust_env=False) as http:
            assert_envelope(await http.get("/api/health"))
            headers = {"Authorization": f"Bearer {line['devKey']}"}
            token = assert_envelope(await http.post("/api/realtime/token", headers=headers))
            assert token["data"]["expiresIn"] == 600
        process.send(number)
        status, rest = await process.ended()
        assert rest == b""
        assert status == {signal.SIGTERM: -number, signal.SIGINT: 0}[number]
    logs = process.logged()
    assert line["devKey"] not in logs
    assert token["data"]["token"] not in logs
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


async def test_prod_refuses_to_start_on_faults_and_lists_them_all(tmp_path: Path) -> None:
    bad = {
        **PREVIEW,
        "VOXGATE_ENV": "prod",
        "ALLOWED_ORIGINS": "http://localhost:1",
        "JWT_SECRET": "k:changeme",
        "ALLOW_REMOTE_PHP_FANOUT": "on",
        "REMOTE_PHP_BASE": "http://php.example.com",
        "VOXGATE_NATS_SYNC": "never",
    }
    status, out, err = await ran(tmp_path / "data", "serve", "--port", "0", environ=bad)
    assert (status, out) == (2, "")
    for fault in ("localhost", "at least 32", "an example", "REMOTE_PHP_BASE", "VOXGATE_NATS_SYNC"):
        assert fault in err
    assert "Traceback" not in err
    assert not (tmp_path / "data").exists()
