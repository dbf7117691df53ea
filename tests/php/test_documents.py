"""The migration of docs/php.md, step by step, on real PHP."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.php.cases import raw
from tests.php.shim import ROOT, PhpServer, needs_php, php_server
from tests.responder.serving import connected, exchange
from voxgate_responder import load_schema
from voxgate_responder.endpoints import ENDPOINTS

PAGE = (ROOT / "docs" / "php.md").read_text("utf-8")
SCRIPTS = re.findall(r"^```php\n(<\?php\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SUCCESS = Draft202012Validator(load_schema("envelope-success"))
ROWS = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[PhpServer]:
    shutil.copytree(ROOT / "php_shim" / "src", tmp_path / "voxgate")
    for number, script in enumerate(SCRIPTS):
        (tmp_path / f"step{number}.php").write_text(script)
    with php_server(tmp_path) as server:
        yield server


async def plain_body(port: int, target: str) -> bytes:
    """The body of an answer that has no Content-Length, as that of an old endpoint."""
    async with connected(port) as client:
        await client.send(raw("GET", target))
        return (await client.rest()).partition(b"\r\n\r\n")[2]


@needs_php
async def test_each_step_of_the_migration_keeps_what_it_says(steps: PhpServer) -> None:
    bare = await plain_body(steps.port, "/step0.php")
    old: dict[str, Any] = json.loads(bare)
    answers = [(await exchange(steps.port, raw("GET", f"/step{number}.php"))).json() for number in (1, 2, 3)]
    first, second, third = answers
    assert old == {"rows": ROWS, "count": 2}
    for answer in answers:
        SUCCESS.validate(answer)
        assert answer["data"] == {"rows": ROWS}
    for answer in (first, second):
        assert old.items() <= answer.items(), "clients of the old answer see no change"
    assert "rows" not in third


@needs_php
async def test_the_second_step_refuses_bad_input_and_other_methods(steps: PhpServer) -> None:
    assert (await exchange(steps.port, raw("GET", "/step2.php?limit=0"))).status_code == 422
    assert (await exchange(steps.port, raw("GET", "/step2.php?limit[]=0"))).status_code == 422
    assert (await exchange(steps.port, raw("POST", "/step2.php", body=b""))).status_code == 405
    assert (await exchange(steps.port, raw("OPTIONS", "/step2.php"))).status_code == 204
    assert (await exchange(steps.port, raw("GET", "/step2.php?limit=1"))).json()["count"] == 1


def test_the_page_names_every_endpoint_and_every_legacy_field() -> None:
    for endpoint in ENDPOINTS.values():
        assert f"`{endpoint.path.removeprefix('/api/')}`" in PAGE
        for shape in endpoint.schema["$defs"]["success"]["allOf"][1:]:
            for one in shape.get("anyOf", [shape]):
                assert all(f"`{field}`" in PAGE for field in one["required"])
