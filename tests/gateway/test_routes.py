import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.backplane.servers import Pauses, ended, hearing, running_server
from tests.gateway.rig import BEARER, OPERATOR_KEY, PREVIEW, Served, served, shared
from tests.helpers.envelope import assert_envelope, assert_openai_error, assert_problem, assert_security_headers
from voxgate_observability import Phase

HEALTH = ("/readyz", "/api/health")


def assert_down(answer: httpx.Response) -> None:
    """The backplane is what fails, and nothing is told that is nobody's business."""
    checks = assert_problem(answer, 503, "unavailable")["error"]["details"]["checks"]
    assert checks["backplane"]["status"] == "down"
    assert (checks["relay"]["status"], checks["fanout"]["status"]) == ("ok", "ok")
    for secret in ("nats://", "password", OPERATOR_KEY):
        assert secret not in answer.text


async def assert_up(gateway: Served) -> None:
    for path in HEALTH:
        assert_envelope(await gateway.http.get(path))


async def test_liveness_and_readiness_answer_in_the_envelope() -> None:
    async with served() as gateway:
        assert assert_envelope(await gateway.http.get("/livez"))["data"] == {"status": "alive"}
        assert assert_envelope(await gateway.http.get("/readyz"))["data"] == {"status": "ready"}


@pytest.mark.parametrize(("enabled", "status"), [("true", "ok"), ("false", "off")])
async def test_health_says_what_works(enabled: str, status: str) -> None:
    async with served({**PREVIEW, "ENABLE_WS_PROXY": enabled}) as gateway:
        body = assert_envelope(await gateway.http.get("/api/health"))
        assert body["status"] == "ok"
        assert body["version"] == "0.2.0rc2"
        assert body["phase"] == "ready"
        statuses = {name: check["status"] for name, check in body["checks"].items()}
        assert statuses == {"relay": status, "backplane": "ok", "fanout": "ok", "disk": "ok", "upstream": "ok"}
        assert body["checks"]["relay"]["sessions"] == 0
        assert body["checks"]["disk"]["freeBytes"] > 0
        assert all(0 <= check["seconds"] < 2 for check in body["checks"].values())
        fanout = body["checks"]["fanout"]
        assert (fanout["status"], fanout["targets"], fanout["buffered"], fanout["dropped"]) == ("ok", 1, 0, 0)


async def test_a_queue_without_room_is_told_and_is_no_reason_to_be_taken_out() -> None:
    async with served({**PREVIEW, "VOXGATE_FANOUT_MAX_BYTES": str(1024**2)}) as gateway:
        stubborn = {"name": "slow", "url": "https://slow.invalid/", "events": ["x.*"]}
        answer = await gateway.http.post("/api/voice/fanout/targets", json=stubborn, headers=BEARER)
        assert_envelope(answer, 201)
        event = {"type": "x.y", "data": {"text": "x" * 200_000}}
        async with asyncio.timeout(30):
            while (await gateway.http.post("/api/voice/fanout", json=event, headers=BEARER)).status_code == 202:
                continue  # until the queue was measured and found full
        body = assert_envelope(await gateway.http.get("/api/health"))
        assert (body["checks"]["fanout"]["status"], body["checks"]["fanout"]["full"]) == ("full", True)
        await assert_up(gateway)


@pytest.mark.parametrize("path", ["/livez", *HEALTH])
async def test_load_balancers_may_ask_by_head(path: str) -> None:
    async with served() as gateway:
        answer = await gateway.http.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert_security_headers(answer)


async def test_without_its_server_a_gateway_is_unready_at_once_and_ready_again_after_it(tmp_path: Path) -> None:
    pauses = Pauses()
    async with (
        running_server(tmp_path / "nats", pause=pauses) as server,
        served({**PREVIEW, **shared(server)}) as gateway,
    ):
        await assert_up(gateway)
        assert server.pid is not None
        async with ended(server.pid) as gone:
            os.kill(server.pid, signal.SIGKILL)
            await gone.wait()
        for path in HEALTH:
            assert_down(await gateway.http.get(path))
            head = await gateway.http.head(path)
            assert (head.status_code, head.content) == (503, b"")
        assert_envelope(await gateway.http.get("/livez"))
        with hearing() as heard:
            await pauses.asked.get()
            pauses.release()
            await heard.wait_for("the connection to NATS is back")
        await assert_up(gateway)


async def test_a_server_that_hangs_is_as_good_as_none(tmp_path: Path) -> None:
    async with running_server(tmp_path / "nats") as server, served({**PREVIEW, **shared(server)}) as gateway:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert_down(await gateway.http.get("/readyz"))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await assert_up(gateway)


async def test_who_opens_a_sockets_address_is_told_to_upgrade() -> None:
    async with served() as gateway:
        answer = await gateway.http.get("/realtime")
        assert_problem(answer, 426, "upgrade_required")
        assert answer.headers["upgrade"] == "websocket"
        assert_openai_error(await gateway.http.get("/v1/realtime"), 426, "upgrade_required")


async def test_an_address_with_nothing_there_is_a_problem_too() -> None:
    async with served() as gateway:
        assert_problem(await gateway.http.get("/nothing"), 404, "not_found")
        assert_problem(await gateway.http.delete("/livez"), 405, "method_not_allowed")


async def test_a_model_server_that_is_away_is_told_and_takes_no_gateway_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with served({**PREVIEW, "VOXGATE_UPSTREAM": f"ws://127.0.0.1:{port}/v1/realtime"}) as gateway:
        body = assert_envelope(await gateway.http.get("/api/health"))
        assert (body["status"], body["checks"]["upstream"]["status"]) == ("degraded", "down")
        assert str(port) not in json.dumps(body["checks"]["upstream"])
        assert_envelope(await gateway.http.get("/readyz"))


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING])
async def test_a_gateway_that_comes_or_goes_is_alive_and_not_ready(phase: Phase) -> None:
    async with served() as gateway:
        gateway.gateway.health.phase = phase
        error = assert_problem(await gateway.http.get("/readyz"), 503, "unavailable")["error"]
        assert error["details"] == {"phase": phase.value}
        assert_envelope(await gateway.http.get("/livez"))
        assert assert_envelope(await gateway.http.get("/api/health"))["phase"] == phase.value


async def test_figures_are_for_an_operators_key() -> None:
    async with served() as gateway:
        assert_problem(await gateway.http.get("/metrics"), 401, "credential_missing")
        answer = await gateway.http.get("/metrics", headers=BEARER)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert_security_headers(answer)
        assert "voxgate_sessions_open 0.0" in answer.text
        assert OPERATOR_KEY not in answer.text


@pytest.mark.parametrize(("metrics", "status"), [("open", 200), ("off", 404)])
async def test_figures_may_be_for_everybody_or_nobody(metrics: str, status: int) -> None:
    async with served({**PREVIEW, "VOXGATE_METRICS": metrics}) as gateway:
        assert (await gateway.http.get("/metrics")).status_code == status
