import pytest

from tests.gateway.rig import PREVIEW, served
from tests.helpers.envelope import assert_envelope, assert_openai_error, assert_problem


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
        assert body["checks"]["relay"] == {"status": status, "sessions": 0}


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
