"""The shim behind PHP's own server: addresses that no endpoint has, what is too large, and what is left behind."""

import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.php.cases import JSON, raw
from tests.php.shim import PHP, PUBLIC, ROOT, ROUTER, needs_php, php_server
from tests.responder.serving import exchange
from voxgate_responder import load_schema

PROBLEM = Draft202012Validator(load_schema("envelope-problem"))

pytestmark = needs_php


@pytest.fixture
def drop_in(tmp_path: Path) -> Path:
    """An old application into which the shim's folder was copied."""
    shutil.copytree(ROOT / "php_shim" / "src", tmp_path / "voxgate")
    (tmp_path / "old.php").write_text(
        "<?php\nrequire __DIR__ . '/voxgate/autoload.php';\n$api = Voxgate\\Shim\\ApiResponder::start();\n"
        "$rows = [['id' => 1]];\n$api->jsonSuccess($rows, ['rows' => $rows]);\n"
    )
    return tmp_path


def states_in(group: int) -> list[str]:
    """The states of the processes of a group: fields 3 and 5 of proc(5) stat, behind the name in brackets."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
            found += [state] if int(of) == group else []
    return found


@pytest.mark.parametrize(
    "target",
    ["/", "/nope", "/api", "/api/", "/api/nope.php", "/api/health", "/api/health.php/more", "/index.html", "/api/.env",
     "/api/../../src/ApiResponder.php", "/..%2fsrc%2fautoload.php", "/src/autoload.php", "/router.php",
     "//api/health.php",
     "/api/health.php%00", "/%2e%2e/router.php", "/api/health.php;x"],
)  # fmt: skip
async def test_with_the_router_every_other_address_is_a_problem(target: str) -> None:
    with php_server(PUBLIC, router=ROUTER) as server:
        answer = await exchange(server.port, raw("GET", target))
        assert answer.status_code in (400, 404)
        PROBLEM.validate(answer.json())
        assert str(ROOT) not in answer.content.decode()
        assert (await exchange(server.port, raw("GET", "/api/health.php"))).status_code == 200


async def test_without_the_router_more_behind_an_endpoints_path_is_not_found() -> None:
    with php_server() as server:
        answer = await exchange(server.port, raw("GET", "/api/health.php/more"))
        assert answer.status_code == 404
        PROBLEM.validate(answer.json())


async def test_a_body_past_phps_own_limit_is_still_read_and_its_warning_not_shown() -> None:
    # PHP warns before any script runs, so only its own settings can hold that back: docs/php.md names this one.
    with php_server(ini={"post_max_size": "1K", "display_startup_errors": "0"}) as server:
        answer = await exchange(server.port, raw("POST", "/api/donna_logic.php", JSON, b'{"text":"hi"}' + b" " * 3000))
        assert answer.status_code == 200
        assert answer.json()["reply"]


async def test_an_endpoint_is_private_wherever_it_is_mounted_and_found_by_one_address_alone(tmp_path: Path) -> None:
    (tmp_path / "app").symlink_to(PUBLIC)
    with php_server(tmp_path) as server:
        answer = await exchange(server.port, raw("GET", "/app/api/health.php"))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        answer = await exchange(server.port, raw("GET", "//app//api/health.php"))
        assert answer.status_code == 404


async def test_the_shim_works_where_only_its_own_folder_was_copied(drop_in: Path) -> None:
    with php_server(drop_in) as server:
        answer = await exchange(server.port, raw("GET", "/old.php"))
        assert answer.json()["data"] == answer.json()["rows"] == [{"id": 1}]
        assert answer.headers["x-frame-options"] == "DENY"


def test_a_stopped_server_leaves_no_process_and_no_port() -> None:
    with php_server(environ={"PHP_CLI_SERVER_WORKERS": "3"}) as server:
        port, group = server.port, server.pid
    # A worker whose parent ended first may stay a zombie until the system collects it: it runs nothing.
    assert [state for state in states_in(group) if state != "Z"] == []
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))


def test_every_file_of_php_is_readable_by_php() -> None:
    assert PHP is not None
    files = [*(ROOT / "php_shim").rglob("*.php"), *Path(__file__).with_name("site").rglob("*.php")]
    for path in files:
        run = subprocess.run([PHP, "-d", "error_reporting=-1", "-l", str(path)], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "declare(strict_types=1);" in path.read_text("utf-8"), f"{path.name} lacks strict types"
