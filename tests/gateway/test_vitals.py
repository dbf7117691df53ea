import asyncio
from pathlib import Path

from tests.gateway.rig import PREVIEW, served
from tests.helpers.envelope import assert_envelope
from voxgate_gateway.vitals import gateway_health
from voxgate_realtime import compatible


async def test_a_disk_without_room_takes_the_gateway_out(tmp_path: Path) -> None:
    async with served() as gateway:
        health = gateway_health(gateway.gateway.realtime, data_dir=tmp_path)
        assert health.failing(await health.judge()) == []
        health = gateway_health(gateway.gateway.realtime, data_dir=tmp_path, least_free=1 << 80)
        assert health.failing(await health.judge()) == ["disk"]


async def test_a_model_server_is_reached_without_a_word() -> None:
    said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.set_result(await reader.read())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with served() as gateway:
        upstream = compatible(f"ws://127.0.0.1:{port}/v1/realtime")
        health = gateway_health(gateway.gateway.realtime, upstream=upstream)
        assert (await health.judge())["upstream"]["status"] == "ok"
        assert await said == b""
    server.close()
    await server.wait_closed()


async def test_the_database_of_conversations_is_asked() -> None:
    async with served({**PREVIEW, "VOXGATE_CONVERSATIONS": "metadata", "VOXGATE_ENV": "dev"}) as gateway:
        checks = assert_envelope(await gateway.http.get("/api/health"))["checks"]
        assert (checks["database"]["status"], checks["conversations"]["status"]) == ("ok", "ok")
