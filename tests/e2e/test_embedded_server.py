"""A gateway process and the nats-server it runs: who stops whom, and what survives."""

import asyncio
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.fanout.receivers import Receiver
from tests.gateway.processes import Process, alive, children_of, gone, linux_only, nats_of, ran, started
from tests.gateway.rig import BEARER, PREVIEW, names_in, stubbed
from tests.helpers.envelope import assert_envelope
from voxgate_fanout import CONTROL_FILE

pytestmark = linux_only

IDLE_STOP_SECONDS = 3.0
EVENTS = 3
"""Few enough to keep the circuit breaker of the target closed."""


def client_of(process: Process) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=process.url, trust_env=False, headers=BEARER)


async def post(http: httpx.AsyncClient, number: int) -> str:
    """Post an event; its id."""
    body = {"type": "order.placed", "data": {"number": number}}
    answer = assert_envelope(await http.post("/api/voice/fanout", json=body), 202)
    return str(answer["data"]["eventId"])


def with_hook(tmp_path: Path, url: str) -> dict[str, str]:
    """Settings with one target of a file, and without the stub."""
    file = tmp_path / "fanout.toml"
    file.write_text(f'[[target]]\nname = "hook"\nurl = "{url}"\nsecret = "whsec_{"A" * 43}="\n', "utf-8")
    more = {"VOXGATE_FANOUT_FILE": str(file), "VOXGATE_FANOUT_STUB": "off", "VOXGATE_FANOUT_ALLOW_NETS": "127.0.0.0/8"}
    return {**PREVIEW, **more}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_gateway_stops_soon_and_leaves_its_data_and_no_process(
    number: signal.Signals, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    async with started(data_dir) as process:
        async with client_of(process) as http:
            event = await post(http, 1)
            assert (await stubbed(http, event))["eventId"] == event
        assert (data_dir / CONTROL_FILE).is_file()
        nats = nats_of(process.pid)
        began = time.monotonic()
        process.send(number)
        status, rest = await process.ended()
        assert time.monotonic() - began < IDLE_STOP_SECONDS
        assert not alive(nats)
        assert (status, rest) == ({signal.SIGTERM: -number, signal.SIGINT: 0}[number], b"")
    assert names_in(data_dir) == {"nats"}
    assert names_in(data_dir / "nats") == {"jetstream", "lock"}
    assert "Traceback" not in process.logged()


async def test_a_second_gateway_on_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with started(data_dir) as process:
        control = (data_dir / CONTROL_FILE).read_bytes()
        status, out, err = await ran(data_dir, "serve", "--port", "0")
        assert (status, out) == (2, "")
        assert f"the data directory {data_dir} is in use by process {process.pid}" in err
        assert "--workers" in err
        assert "VOXGATE_NATS_URL" in err
        assert "Traceback" not in err
        assert (data_dir / CONTROL_FILE).read_bytes() == control
        async with client_of(process) as http:
            assert_envelope(await http.get("/readyz"))


async def test_a_killed_gateway_takes_its_server_along_and_what_was_accepted_survives(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with Receiver() as nobody:
        unreachable = nobody.url  # once it is closed
    async with started(data_dir, environ=with_hook(tmp_path, unreachable)) as process, client_of(process) as http:
        accepted = {await post(http, number) for number in range(EVENTS)}
        async with asyncio.timeout(20):
            while (await http.get("/api/health")).json()["checks"]["fanout"]["retried"] < EVENTS:
                continue  # until each was tried in vain: what is in hand is another's only after its lease
        for _ in range(20):
            assert_envelope(await http.get("/readyz"))  # behind them on the same connection, their records are settled
        nats = nats_of(process.pid)
        process.send(signal.SIGKILL)
        assert (await process.ended())[0] == -signal.SIGKILL
        await gone(nats)
    assert (data_dir / CONTROL_FILE).is_file()
    async with Receiver() as receiver, started(data_dir, environ=with_hook(tmp_path, receiver.url)) as process:
        await receiver.has_received(EVENTS)
        while {request.headers["webhook-id"] for request in receiver.received} != accepted:
            await receiver.has_received(len(receiver.received) + 1)  # one of them came twice, as it may
    assert not (data_dir / CONTROL_FILE).exists()


async def test_a_killed_server_is_replaced_and_nothing_accepted_is_lost(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with started(data_dir) as process, client_of(process) as http:
        before = await post(http, 1)
        nats = nats_of(process.pid)
        os.kill(nats, signal.SIGKILL)
        await gone(nats)
        after = await post(http, 2)
        for event in (before, after):
            assert (await stubbed(http, event))["eventId"] == event
        assert "nats-server" in children_of(process.pid).values()
        assert nats_of(process.pid) != nats
        assert_envelope(await http.get("/readyz"))
