"""The gates on an app that is not voxgate: told by a ``gates.toml`` where things are, and what is answered for."""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.php.shim import needs_php, php_server

APP = Path(__file__).with_name("other_app")
KEY = "the-key-of-another-app-altogether"
GATES = "from voxgate_gates.commands import gates; gates()"
needs_fastapi = pytest.mark.skipif(
    find_spec("fastapi") is None or find_spec("uvicorn") is None, reason="fastapi and uvicorn are not installed"
)
IMPORTED = re.compile(r"^\s*(?:import|from)\s+voxgate", re.MULTILINE)


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """The app under uvicorn on a socket handed down to it: callers wait in the backlog until it answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "--app-dir", str(APP), "app:app", "--log-level", "warning"),
            *("--no-server-header", "--fd", str(listener.fileno())),
            env={
                **os.environ,
                "KEY": KEY,
                "SIGNING_SECRET": "a-secret-of-the-other-app-for-its-tokens",
                "ORIGINS": "https://shop.example.com,https://admin.example.com",
            },
            pass_fds=(listener.fileno(),),
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            await process.wait()


async def judged(tmp_path: Path, last_day: date, *more: str) -> tuple[int, dict[str, str], str]:
    """The exit code, the verdicts by check, and what was printed."""
    text = (APP / "gates.toml").read_text("utf-8").replace("2027-01-31", last_day.isoformat())
    (tmp_path / "gates.toml").write_text(text)
    with php_server(APP / "php") as php:
        async with serving() as url:
            base = f"http://127.0.0.1:{php.port}"
            command = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", GATES, "--target", url, "--php-base", base, *more),
                env={**os.environ, "VOXGATE_GATE_SHOP_KEY": KEY, "COLUMNS": "200"},
                cwd=tmp_path,  # where gates.toml is found without being named
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            out, _ = await command.communicate()
    assert command.returncode is not None
    report = json.loads((tmp_path / "build" / "gates" / "report.json").read_text("utf-8"))
    assert KEY not in json.dumps(report) + out.decode()
    found = {check["id"]: check["verdict"] for gate in report["gates"] for check in gate["checks"]}
    return command.returncode, found, out.decode()


def test_the_app_knows_nothing_of_voxgate() -> None:
    assert not IMPORTED.search((APP / "app.py").read_text("utf-8"))


@needs_fastapi
@needs_php
async def test_an_app_that_keeps_the_promises_elsewhere_is_judged_by_them(tmp_path: Path) -> None:
    code, found, said = await judged(tmp_path, date.today() + timedelta(days=30))
    fallen = {check: verdict for check, verdict in found.items() if verdict != "pass"}
    assert fallen == {
        "security.client-secrets-shape": "skip",
        "security.revoke-unauthenticated-401": "skip",
        "security.revoke-issuer-403": "skip",
        "security.garbage-bytes-400": "skip",
        "data.remote-sales-overview": "skip",
    }, said
    assert len(found) > 25
    assert code == 0
    assert "settings: gates.toml" in said
    assert "waived by Grace, shop team" in (tmp_path / "build" / "gates" / "report.html").read_text("utf-8")


@needs_fastapi
@needs_php
async def test_a_waiver_that_has_ended_no_longer_helps(tmp_path: Path) -> None:
    yesterday = date.today() - timedelta(days=1)
    code, found, said = await judged(tmp_path, yesterday, "--only", "data.remote-sales-overview")
    assert (code, found) == (1, {"data.remote-sales-overview": "fail"})
    assert f"The waiver of data.remote-sales-overview by Grace, shop team ended on {yesterday}." in said


@needs_php
@pytest.mark.parametrize("option", ["--config", "--only"])
async def test_what_can_not_be_followed_is_told(option: str, tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text("[target]\nenvironment = 'live'" if option == "--config" else "")
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", GATES, "--list", option, "gates.toml"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await command.communicate()
    assert command.returncode == 2
    told = "target.environment must be one of dev, preview, prod" if option == "--config" else "no such gate or check"
    assert told in " ".join(out.decode().replace("│", "").split())
