"""A gateway process over a NATS server that somebody else runs."""

import signal
import time
from pathlib import Path

import httpx

from tests.backplane.nodes import free_ports
from tests.backplane.servers import running_server
from tests.gateway.processes import children_of, linux_only, ran, started
from tests.gateway.rig import BEARER, PREVIEW, names_in, shared, stubbed
from tests.helpers.envelope import assert_envelope

PASSWORD = "hunter2-hunter2"


@linux_only
async def test_a_gateway_over_a_server_of_others_runs_none_and_leaves_it_running(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with running_server(tmp_path / "nats") as server:
        async with started(data_dir, environ={**PREVIEW, **shared(server)}) as process:
            assert children_of(process.pid) == {}
            async with httpx.AsyncClient(base_url=process.url, trust_env=False, headers=BEARER) as http:
                event = {"type": "order.placed", "data": {}}
                answer = assert_envelope(await http.post("/api/voice/fanout", json=event), 202)
                await stubbed(http, answer["data"]["eventId"])
            process.send(signal.SIGTERM)
            assert (await process.ended())[0] == -signal.SIGTERM
        assert server.running
        assert names_in(data_dir) == set()
        assert server.password not in process.logged()


async def test_a_server_that_is_not_there_is_told_in_time_without_the_password(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    environ = {
        **PREVIEW,
        "VOXGATE_NATS_URL": f"nats://127.0.0.1:{port}",
        "VOXGATE_NATS_USER": "ada",
        "VOXGATE_NATS_PASSWORD": PASSWORD,
    }
    began = time.monotonic()
    status, out, err = await ran(tmp_path / "data", "serve", "--port", "0", "--json", environ=environ)
    assert time.monotonic() - began < 30
    assert (status, out) == (2, "")
    assert "VOXGATE_NATS_URL: no NATS server answers" in err
    assert PASSWORD not in err
    assert "Traceback" not in err
