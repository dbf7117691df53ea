import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from tests.gateway.rig import BEARER, ORIGIN, Served, close_code_of, end_of, grant_of, served
from tests.helpers.envelope import assert_problem
from voxgate_core import Event, VoxgateError
from voxgate_gateway.figures import UNTOLD, Figures

PROMTOOL = shutil.which("promtool")


async def scraped(gateway: Served) -> tuple[str, dict[tuple[str, str], float]]:
    """The page, and each sample by name and the value of its one label."""
    text = (await gateway.http.get("/metrics", headers=BEARER)).text

    def samples() -> Iterator[tuple[tuple[str, str], float]]:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                yield (sample.name, next(iter(sample.labels.values()), "")), sample.value

    return text, dict(samples())


async def test_a_session_from_token_to_close_is_counted() -> None:
    async with served() as gateway:
        bad = await gateway.http.post("/api/realtime/token", headers={**BEARER, "Origin": "https://evil.example"})
        assert_problem(bad, 403, "origin_refused")
        assert_problem(await gateway.http.post("/api/realtime/token"), 401, "credential_missing")
        token = await gateway.token()
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(f"{gateway.ws_url}/realtime", additional_headers=headers) as session:
            assert json.loads(await session.recv())["type"] == "auth_success"
            assert json.loads(await session.recv())["type"] == "session.created"
            await session.send('{"type":"response.create"}')
            while json.loads(await session.recv())["type"] != "response.done":
                continue
            _, during = await scraped(gateway)
            assert during["voxgate_sessions_open", ""] == 1
            assert during["voxgate_messages_total", "client"] == 1
        async with connect(f"{gateway.ws_url}/v1/realtime") as refused:
            assert await close_code_of(refused) == 4001
        text, figures = await scraped(gateway)
    assert {name: figures["voxgate_token_decisions_total", name] for name in ("issued", "origin_refused")} == {
        "issued": 1,
        "origin_refused": 1,
    }
    assert figures["voxgate_token_decisions_total", "credential_missing"] == 1
    assert figures["voxgate_sessions_opened_total", ""] == 1
    assert figures["voxgate_sessions_closed_total", "1000"] == 1
    assert figures["voxgate_sessions_refused_total", "credential_missing"] == 1
    assert figures["voxgate_sessions_open", ""] == 0
    assert figures["voxgate_messages_total", "upstream"] > 3
    assert figures["voxgate_message_bytes_total", "upstream"] > 100
    assert figures["voxgate_relay_seconds_count", ""] >= 2
    assert figures["voxgate_relay_seconds_sum", ""] < 0.5
    assert figures["voxgate_turns_total", ""] == 1
    assert figures["voxgate_fanout_targets", "enabled"] == 1
    assert figures["voxgate_phase", "ready"] == 1
    assert figures["voxgate_health_check_up", "backplane"] == 1  # though nobody asked for health
    assert figures["voxgate_build_info", "0.2.0rc2"] == 1
    assert token not in text


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")
async def test_promtool_takes_the_page_of_a_real_gateway() -> None:
    assert PROMTOOL is not None
    async with served() as gateway:
        text, _ = await scraped(gateway)
    check = partial(subprocess.run, [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True)
    done = await asyncio.to_thread(check)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_codes_from_outside_the_tables_share_one_label() -> None:
    figures = Figures()
    for code in (1000, 4321, 4322):
        figures.closed(replace(end_of("s"), code=code))
    assert figures._closed == {"1000": 1, UNTOLD: 2}


def test_the_time_to_first_audio_comes_from_the_turn() -> None:
    figures = Figures()
    for data in ({"milliseconds": 420}, {}):
        figures.publish(Event("e", "/voxgate", "voice.turn.completed", 0.0, None, data))
    figures.publish(Event("e", "/voxgate", "voice.session.ended", 0.0, None, {"milliseconds": 9}))
    assert (sum(figures.first_audio.counts), figures.first_audio.total) == (1, 0.42)


def test_a_refusal_is_counted_by_its_code() -> None:
    figures = Figures()
    figures.opened(grant_of("s"))
    figures.refused(VoxgateError("credential_missing"))
    figures.decided(VoxgateError("quota_exceeded"))
    figures.decided(None)
    assert figures._refused == {"credential_missing": 1}
    assert figures._decisions == {"issued": 1, "quota_exceeded": 1}
    assert ORIGIN not in repr(figures)
