"""A site on a loopback port of its own, and the command line that talks to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner, Result

from tests.fanout.operating import Site
from tests.fanout.stores import filed
from voxgate_fanout.commands import fanout
from voxgate_fanout.operator_client import CONTROL_FILE

LARGEST_REQUEST = 1024 * 1024
URL = "https://billing.example/hooks"


class Server:
    """Serves one request a connection. ``requests`` are their methods and targets as they came."""

    def __init__(self, site: Site) -> None:
        self.url = ""
        self.requests: list[tuple[str, str]] = []
        self._site = site
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        self.requests.append((method, target))
        headers = dict(line.split(": ", 1) for line in head[1:-2])
        body = await reader.readexactly(int(headers.get("Content-Length", "0")))
        url = httpx.URL("http://gateway.test").copy_with(raw_path=target.encode("latin-1"))
        transport = httpx.ASGITransport(self._site.app)
        answer = await transport.handle_async_request(httpx.Request(method, url, headers=headers, content=body))
        content = await answer.aread()
        lines = [f"HTTP/1.1 {answer.status_code} X", f"content-length: {len(content)}", "connection: close", "", ""]
        writer.write("\r\n".join(lines).encode() + content)
        await writer.drain()

    async def ended(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[Server]:
    """Serve it until the block ends."""
    server = Server(site)
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, limit=LARGEST_REQUEST)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        await server.ended()
        await listener.wait_closed()


def control(folder: Path, url: str, key: str = "ops") -> Path:
    """The control file of a gateway, as it writes it."""
    path = folder / CONTROL_FILE
    path.touch(0o600)
    path.write_text(json.dumps({"url": url, "key": key, "pid": 4711}), "utf-8")
    return path


async def run(*arguments: str, **environ: str | None) -> Result:
    """``voxgate fanout`` with these arguments, in a thread: what it asks is served by this one."""
    clean: dict[str, str | None] = {"VOXGATE_URL": None, "VOXGATE_KEY": None, "VOXGATE_DATA_DIR": None, **environ}
    result = await asyncio.to_thread(CliRunner().invoke, fanout, arguments, env=clean)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


class Desk:
    """An operator at a machine on which a gateway runs."""

    def __init__(self, site: Site, server: Server, folder: Path) -> None:
        self.site = site
        self.server = server
        self.folder = folder
        control(folder, server.url)

    async def run(self, *arguments: str, **environ: str | None) -> Result:
        return await run(*arguments, VOXGATE_DATA_DIR=str(self.folder), **environ)

    async def json(self, *arguments: str, status: int = 0, **environ: str | None) -> dict[str, Any]:
        """What is printed with ``--json``: one object, and nothing else anywhere."""
        result = await self.run(*arguments, "--json", **environ)
        assert (result.exit_code, result.stderr) == (status, "")
        assert result.stdout.count("\n") == 1
        found = json.loads(result.stdout)
        assert isinstance(found, dict)
        return found

    async def add(self, name: str = "billing", *more: str) -> dict[str, Any]:
        return await self.json("targets", "add", "--name", name, "--url", URL, *more)


@asynccontextmanager
async def at_a_desk(folder: Path) -> AsyncIterator[Desk]:
    """A gateway with the targets "php", of the file, and "stub"; its data folder is ``folder``."""
    site = await Site([filed("php")]).loaded()
    async with served(site) as server:
        yield Desk(site, server, folder)
