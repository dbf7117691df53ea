"""What the relay hears is kept as far as the deployment says, read back over HTTP, and erased for good."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.gateway.rig import BEARER, PREVIEW, Served, served
from tests.helpers.envelope import assert_envelope, assert_problem
from voxgate_core import ConfigurationError

VOXGATE = (sys.executable, "-m", "voxgate_gateway")
QUESTION = "my address is ada@example.com"


def run(data_dir: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, "VOXGATE_DATA_DIR": str(data_dir)}
    return subprocess.run([*VOXGATE, *command], env=environ, capture_output=True, text=True, timeout=60)


def written_to(data_dir: Path) -> bytes:
    """Everything that lies in the files of the database."""
    return b"".join(file.read_bytes() for file in sorted(data_dir.glob("conversations.sqlite3*")))


@asynccontextmanager
async def keeping(data_dir: Path, mode: str) -> AsyncIterator[Served]:
    assert run(data_dir, "db", "upgrade").returncode == 0
    async with served({**PREVIEW, "VOXGATE_CONVERSATIONS": mode}, data_dir=data_dir) as gateway:
        yield gateway


async def converse(gateway: Served, **body: object) -> str:
    """One typed turn through the offline engine; the session's id."""
    headers = {"Authorization": f"Bearer {await gateway.token(sub='ada', **body)}"}
    async with connect(f"{gateway.ws_url}/realtime", additional_headers=headers) as client:
        session: str = json.loads(await client.recv())["sessionId"]
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}
        await client.send(
            json.dumps({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}})
        )
        await client.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await client.send(json.dumps({"type": "response.create"}))
        async for message in client:
            if json.loads(message)["type"] == "response.done":
                return session
    raise AssertionError("the session ended before its answer")


async def test_a_conversation_is_kept_read_and_erased(tmp_path: Path) -> None:
    async with keeping(tmp_path, "full") as gateway:
        session = await converse(gateway)
    async with served({**PREVIEW, "VOXGATE_CONVERSATIONS": "full"}, data_dir=tmp_path) as gateway:
        listed = assert_envelope(await gateway.http.get("/api/conversations", headers=BEARER))
        assert session in json.dumps(listed["data"])
        whole = assert_envelope(await gateway.http.get(f"/api/conversations/{session}", headers=BEARER))
        assert whole["data"]["conversation"]["sub"] == "ada"
        assert_problem(await gateway.http.get("/api/conversations"), 401, "credential_missing")
        health = assert_envelope(await gateway.http.get("/api/health"))
        assert health["checks"]["conversations"]["mode"] == "full"
    exported = run(tmp_path, "data", "export", "--sub", "ada")
    assert session in exported.stdout
    erased = run(tmp_path, "data", "erase", "--sub", "ada", "--json")
    assert erased.returncode == 0, erased.stderr
    assert session.encode() not in written_to(tmp_path)


async def test_a_token_may_lower_what_is_kept(tmp_path: Path) -> None:
    async with keeping(tmp_path, "full") as gateway:
        session = await converse(gateway, scope=["realtime", "store:off"])
    assert session not in run(tmp_path, "data", "export", "--sub", "ada").stdout


async def test_nothing_is_kept_unless_the_deployment_says_so(tmp_path: Path) -> None:
    async with served(data_dir=tmp_path) as gateway:
        await converse(gateway)
        assert_problem(await gateway.http.get("/api/conversations", headers=BEARER), 404, "not_found")
    assert written_to(tmp_path) == b""


async def test_outside_dev_an_old_schema_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="voxgate db upgrade"):
        async with served({**PREVIEW, "VOXGATE_CONVERSATIONS": "full"}, data_dir=tmp_path):
            pytest.fail("it was served")
