import asyncio
import contextlib
import json
import socket
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.gateway.rig import BEARER, ORIGIN, PREVIEW, close_code_of, names_in, served, stubbed
from tests.helpers.envelope import assert_envelope, assert_problem
from voxgate_core import ConfigurationError
from voxgate_engine.limits import MAX_SESSIONS
from voxgate_fanout import CONTROL_FILE
from voxgate_gateway import bind
from voxgate_gateway.serving import drain, url_of

PER_TOKEN = 16
"""Sessions that one token opens on the OpenAI paths at a time."""


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port}.*--port"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_listener_is_reached_by_its_url(host: str) -> None:
    with bind(host, 0) as listener:
        url = url_of(listener)
        assert url == f"http://{'[::1]' if ':' in host else host}:{listener.getsockname()[1]}"


async def test_one_port_serves_tokens_and_sessions() -> None:
    async with served() as gateway:
        token = await gateway.token(sub="ada", origin=ORIGIN)
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(f"{gateway.ws_url}/realtime", additional_headers=headers, origin=ORIGIN) as client:  # type: ignore[arg-type]
            assert json.loads(await client.recv())["type"] == "auth_success"
            assert json.loads(await client.recv())["type"] == "session.created"


async def test_the_offline_engine_takes_as_many_sessions_as_the_gateway() -> None:
    async with contextlib.AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(served({**PREVIEW, "VOXGATE_MAX_SESSIONS": "300"}))
        for _ in range(MAX_SESSIONS // PER_TOKEN + 1):
            headers = {"Authorization": f"Bearer {await gateway.token(sub='ada')}"}
            opened = [connect(f"{gateway.ws_url}/v1/realtime", additional_headers=headers) for _ in range(PER_TOKEN)]
            clients = await asyncio.gather(*(stack.enter_async_context(each) for each in opened))
            for client in clients:
                assert json.loads(await client.recv())["type"] == "session.created"


async def test_a_revocation_reaches_live_sessions() -> None:
    async with served() as gateway:
        headers = {"Authorization": f"Bearer {await gateway.token(sub='ada')}"}
        async with connect(f"{gateway.ws_url}/realtime", additional_headers=headers) as client:
            session = json.loads(await client.recv())["sessionId"]
            answer = await gateway.http.post("/api/realtime/revoke", json={"sessionId": session}, headers=BEARER)
            assert_envelope(answer)
            assert await close_code_of(client) == 4003


async def test_a_graceful_stop_tells_clients_to_go_elsewhere() -> None:
    async with served() as gateway:
        headers = {"Authorization": f"Bearer {await gateway.token(sub='ada')}"}
        client = await connect(f"{gateway.ws_url}/realtime", additional_headers=headers)
        await client.recv()
    assert await close_code_of(client) == 1012


async def test_a_posted_event_reaches_the_stub_and_is_durable_before_the_answer() -> None:
    async with served() as gateway:
        event = {"type": "order.placed", "data": {"number": 1}}
        answer = assert_envelope(await gateway.http.post("/api/voice/fanout", json=event, headers=BEARER), 202)
        assert (answer["data"]["targets"], answer["data"]["stub"]) == (["stub"], True)
        received = await stubbed(gateway.http, answer["data"]["eventId"])
        assert (received["type"], received["deliveries"]) == ("order.placed", 1)


async def test_the_control_file_lets_its_reader_operate_this_gateway_while_it_runs() -> None:
    async with served() as gateway:
        control = json.loads((gateway.data_dir / CONTROL_FILE).read_text("utf-8"))
        assert control["url"] == gateway.url
        bearer = {"Authorization": f"Bearer {control['key']}"}
        assert_envelope(await gateway.http.get("/api/voice/fanout/targets", headers=bearer))
        assert control["key"] not in repr(gateway.gateway)
    assert not gateway.data_dir.exists()


async def test_a_worker_leaves_the_control_file_to_its_parent(tmp_path: Path) -> None:
    async with served({**PREVIEW, "VOXGATE_WORKER": "1/2"}, data_dir=tmp_path):
        assert names_in(tmp_path) == {"nats"}


async def test_a_data_directory_that_cannot_be_had_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="VOXGATE_DATA_DIR"):
        async with served(data_dir=tmp_path / "file" / "data"):
            pytest.fail("it was served")


async def test_everything_is_stopped_when_serving_fails(tmp_path: Path) -> None:
    (tmp_path / CONTROL_FILE).mkdir()
    with pytest.raises(ConfigurationError, match="VOXGATE_DATA_DIR"):
        async with served(data_dir=tmp_path):
            pytest.fail("it was served")
    assert names_in(tmp_path / "nats") == {"jetstream", "lock"}
    (tmp_path / CONTROL_FILE).rmdir()
    async with served(data_dir=tmp_path) as gateway:
        assert_envelope(await gateway.http.get("/readyz"))


async def test_a_configuration_fault_comes_before_anything_is_served() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        async with served({**PREVIEW, "VOXGATE_UPSTREAM": "openai"}):
            pytest.fail("it was served")


async def test_quotas_hold_over_http() -> None:
    async with served({**PREVIEW, "VOXGATE_QUOTA_SUBJECT": "2/hour"}) as gateway:
        answers = [
            await gateway.http.post("/api/realtime/token", json={"sub": "ada"}, headers=BEARER) for _ in range(3)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert int(answers[2].headers["retry-after"]) > 3000


async def test_a_gateway_drains_for_its_time_and_a_second_signal_ends_the_wait() -> None:
    left: list[str] = []
    async with served({**PREVIEW, "VOXGATE_DRAIN_SECONDS": "300"}) as gateway:
        assert_envelope(await gateway.http.get("/readyz"))
        drain(gateway.gateway, lambda: left.append("first"))
        problem = assert_problem(await gateway.http.get("/readyz"), 503, "unavailable")
        assert problem["error"]["details"] == {"phase": "draining"}
        assert await gateway.token()  # who is sent here meanwhile is served
        assert left == []
        drain(gateway.gateway, lambda: left.append("second"))
        assert left == ["second"]


async def test_without_a_drain_time_a_signal_ends_it_at_once() -> None:
    left: list[str] = []
    async with served() as gateway:
        drain(gateway.gateway, lambda: left.append("now"))
    assert left == ["now"]
