"""Every shell command of README, quickstart and runbook is run, or carries the reason why it is not.

The reason is a comment right above the block: ``<!-- not run: … -->``. What is run talks to a real gateway, with its
address and key in the place of those on the page.
"""

import asyncio
import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, Block, console_blocks
from tests.gateway.processes import environment, started

PAGES = (ROOT / "README.md", *(DOCS / name for name in ("quickstart.md", "OPS_RUNBOOK.md", "OBSERVABILITY.md")))
PAGES = (*PAGES, *sorted((DOCS / "release-notes").glob("*.md")))
SECONDS = 60.0

ids = [str(page.relative_to(ROOT)) for page in PAGES]


def run_of(page: Path) -> list[Block]:
    return [block for block in console_blocks(page.read_text("utf-8")) if not block.reason]


def test_a_command_ends_where_its_quotes_do() -> None:
    (block,) = console_blocks("```console\n$ python -c '\nprint(1)'\n1\n$ ls\n```\n")
    assert block.commands == ("python -c '\nprint(1)'", "ls")
    assert block.reason == ""


def test_most_commands_of_the_first_pages_are_run() -> None:
    assert len(run_of(ROOT / "README.md")) == 2
    assert len(run_of(DOCS / "quickstart.md")) == 2


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_a_reason_is_a_reason(page: Path) -> None:
    blocks = console_blocks(page.read_text("utf-8"))
    assert all(block.commands for block in blocks)
    assert all(len(block.reason) > 15 for block in blocks if block.reason)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", [page for page in PAGES if run_of(page)], ids=lambda page: page.name)
async def test_the_commands_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    for name in ("docs", "packages"):
        (tmp_path / name).symlink_to(ROOT / name)
    python = shlex.quote(sys.executable)
    async with started(tmp_path / "data", environ={}) as gateway:
        lines = ["set -euo pipefail"]
        for block in run_of(page):
            for command in block.commands:
                if command == "export KEY=vk_…":
                    command = f"export KEY={gateway.ready['devKey']}"
                command = command.replace("http://127.0.0.1:8080", gateway.url).replace(
                    "ws://127.0.0.1:8080", gateway.ws_url
                )
                command = command.replace(".venv/bin/python", python)
                lines.append(command.replace(".venv/bin/voxgate", f"{python} -m voxgate_gateway"))
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", "\n".join(lines), cwd=tmp_path, stdin=asyncio.subprocess.DEVNULL,
            env={**environment(tmp_path / "data", {}), "KEY": gateway.ready["devKey"], "HOME": os.environ.get("HOME", "/")},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(SECONDS):
            said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    if page.name == "README.md":
        for word in ("auth_success", "session.created", '"success":true', "stub"):
            assert word in said.decode()
    else:
        assert (tmp_path / "answer.wav").stat().st_size > 1000
        assert "voxgate_first_audio_seconds_count 1.0" in said.decode()
