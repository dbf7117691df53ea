import asyncio
import base64
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.realtime.peers import ORIGIN, TOKEN, closed_with, echo, gateway, model_server
from voxgate_realtime import RelayLimits

KEY = base64.b64encode(bytes(16)).decode()


async def raw_request(port: int, request: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode("latin-1"))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def upgrade(path: str = "/realtime", *, drop: str = "", extra: str = "") -> str:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
    ]
    kept = [line for line in lines if not drop or not line.startswith(drop)]
    return "\r\n".join(kept) + "\r\n" + extra + "\r\n"


@pytest.mark.parametrize("path", ["/realtime", "/v1/realtime", "/openai/v1/realtime"])
async def test_a_bad_origin_is_refused_at_the_handshake(path: str) -> None:
    async with gateway("ws://127.0.0.1:9") as gw:
        with pytest.raises(InvalidStatus) as refused:
            async with gw.client(path, origin="https://evil.example"):
                pytest.fail("a bad origin was let in")
        assert refused.value.response.status_code == 403
        assert refused.value.response.body is not None
        assert b"origin_refused" in refused.value.response.body
        assert len(gw.realtime.sessions) == 0


async def test_two_origin_headers_are_refused() -> None:
    async with gateway("ws://127.0.0.1:9") as gw:
        answer = await raw_request(gw.port, upgrade(extra=f"Origin: {ORIGIN}\r\nOrigin: {ORIGIN}\r\n"))
        assert answer.startswith(b"HTTP/1.1 403 ")


async def test_a_refusal_continues_the_callers_trace() -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    extra = f"traceparent: 00-{trace_id}-b7ad6b7169203331-01\r\nOrigin: null\r\n"
    async with gateway("ws://127.0.0.1:9") as gw:
        assert trace_id.encode() in await raw_request(gw.port, upgrade(extra=extra))


@pytest.mark.parametrize(
    ("drop", "status"), [("Sec-WebSocket-Version", b"426"), ("Sec-WebSocket-Key", b"400")]
)  # fmt: skip
async def test_a_faulty_upgrade_is_answered_over_http(drop: str, status: bytes) -> None:
    async with gateway("ws://127.0.0.1:9") as gw:
        answer = await raw_request(gw.port, upgrade(drop=drop))
        assert answer.startswith(b"HTTP/1.1 " + status)


async def test_only_realtime_is_echoed_of_the_offered_subprotocols() -> None:
    offered = ["realtime", f"openai-insecure-api-key.{TOKEN}", "openai-beta.realtime-v1"]
    async with model_server(echo) as url, gateway(url) as gw:
        async with gw.client("/v1/realtime", token=None, subprotocols=offered) as client:
            assert client.subprotocol == "realtime"
            await client.send('{"type":"x"}')
            assert await client.recv() == '{"type":"x"}'


async def test_a_token_in_the_query_string_is_no_credential() -> None:
    async with model_server(echo) as url, gateway(url) as gw:
        async with gw.client(f"/v1/realtime?token={TOKEN}&api-key={TOKEN}", token=None) as client:
            assert (await closed_with(client))[0] == 4001


async def test_other_websocket_paths_reach_the_app_untouched() -> None:
    async with gateway("ws://127.0.0.1:9") as gw, gw.client("/elsewhere", token=None, origin="https://evil") as client:
        assert await client.recv() == "hello from /elsewhere"
        assert await closed_with(client) == (1000, "")


async def test_other_websocket_paths_survive_the_handover_under_load() -> None:
    async def visit(number: int) -> Any:
        async with gw.client(f"/other/{number}", token=None) as client:
            return await client.recv()

    async with gateway("ws://127.0.0.1:9") as gw:
        answers = await asyncio.gather(*(visit(number) for number in range(50)))
        assert answers == [f"hello from /other/{number}" for number in range(50)]


async def test_http_is_served_on_the_same_port() -> None:
    async with gateway("ws://127.0.0.1:9") as gw:
        answer = await raw_request(gw.port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"hello" in answer


async def test_refused_sockets_that_answer_no_close_frame_keep_nobody_out() -> None:
    limits = RelayLimits(max_sessions=2, max_unauthenticated=1, close_timeout=60)
    async with model_server(echo) as url, gateway(url, limits=limits) as gw:
        bad = upgrade("/v1/realtime", extra="Authorization: Bearer bad\r\n")
        deaf = [await asyncio.open_connection("127.0.0.1", gw.port) for _ in range(4)]
        for reader, writer in deaf:
            writer.write(bad.encode())
            await reader.readuntil(b"\x0f\xa3")  # the close code 4003
        for reader, _ in deaf[1:]:
            await reader.read()  # cut at once: one such socket may wait, and it is there already
        async with gw.client("/v1/realtime") as client:
            await client.send('{"type":"x"}')
            assert await client.recv() == '{"type":"x"}'
        for _, writer in deaf:
            writer.transport.abort()


async def test_an_upgrade_elsewhere_is_404_where_the_app_has_no_sockets() -> None:
    async with gateway("ws://127.0.0.1:9", others=False) as gw:
        for path in ("/elsewhere", "//realtime", "/realtime/", "/Realtime"):
            assert (await raw_request(gw.port, upgrade(path))).startswith(b"HTTP/1.1 404 ")


async def test_a_head_that_the_other_protocol_cannot_read_is_not_waited_for() -> None:
    limits = RelayLimits(auth_timeout=0.1)
    async with gateway("ws://127.0.0.1:9", limits=limits) as gw:
        assert await raw_request(gw.port, upgrade("/elsewhere", extra=f"X: {'y' * 20_000}\r\n")) == b""


async def test_the_101_names_the_trace() -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    async with model_server(echo) as url, gateway(url) as gw:
        async with gw.client("/realtime", token=None, additional_headers=headers) as client:
            assert client.response is not None
            assert client.response.headers["X-Trace-Id"] == trace_id


async def test_a_graceful_stop_sends_clients_elsewhere_and_waits_for_them() -> None:
    async with model_server(echo) as url:
        async with gateway(url) as gw:
            client = await gw.client()
            await client.recv()
        assert await closed_with(client) == (1012, "This node is going down; resume elsewhere")
        assert gw.observer.summaries[0].code == 1012


async def test_a_client_that_vanishes_before_its_credential_is_forgotten() -> None:
    async with gateway("ws://127.0.0.1:9") as gw:
        async with gw.client(token=None) as client:
            assert gw.realtime.sessions.unauthenticated == 1
            client.transport.abort()
            await client.wait_closed()
        while len(gw.realtime.sessions):
            await asyncio.wait([asyncio.create_task(gw.observer.any_closed.wait())], timeout=0.01)
        assert gw.realtime.sessions.unauthenticated == 0
        assert gw.observer.summaries == []
