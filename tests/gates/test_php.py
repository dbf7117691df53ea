import os
import shutil
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from voxgate_gates import StartFailed
from voxgate_gates.php import running_shim, shim_fault

SHIM = Path(__file__).parents[2] / "php_shim"

needs_php = pytest.mark.skipif(shim_fault(SHIM) is not None, reason=f"{shim_fault(SHIM)}")


def left_behind() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("voxgate-gates-*")}


def children() -> set[str]:
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


@needs_php
async def test_a_shim_answers_and_leaves_no_port_no_process_and_no_file() -> None:
    before = left_behind()
    async with running_shim(SHIM) as url, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{url}/api/health.php")
        assert answer.json()["checks"] == {"store": {"status": "off"}}
        port = urlsplit(url).port
        assert port is not None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert children() == set()
    assert left_behind() <= before


@needs_php
async def test_it_inherits_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXGATE_PHP_KEY", "k" * 32)
    async with running_shim(SHIM) as url, httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{url}/api/marketing.php")).status_code == 200


@needs_php
async def test_an_error_in_the_body_still_stops_it() -> None:
    with pytest.raises(KeyError):
        async with running_shim(SHIM) as url:
            raise KeyError(url)
    assert children() == set()


@needs_php
async def test_a_folder_that_php_can_not_serve_is_a_failed_start(tmp_path: Path) -> None:
    before = left_behind()
    with pytest.raises(StartFailed) as caught:
        async with running_shim(tmp_path / "nothing"):
            pytest.fail("it was never ready")
    assert "does not exist" in caught.value.tail
    assert left_behind() <= before


async def test_a_php_that_never_says_where_it_listens_is_given_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    php = tmp_path / "php"
    php.write_text("#!/bin/sh\nyes warning\n")
    php.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StartFailed, match="did not say where it listens"):
        async with running_shim(SHIM):
            pytest.fail("it was never ready")


def test_what_is_missing_is_named_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "name the folder with --php-shim" in (shim_fault(tmp_path) or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("php") is None
    assert shim_fault(SHIM) == "php is not installed: apt-get install php-cli"
