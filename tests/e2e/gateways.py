"""Real gateways in processes of their own, on one port each, that can be killed and started again."""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.gateway.processes import nats_of

KEY = f"vk_{secrets.token_urlsafe(32)}"
BEARER = {"Authorization": f"Bearer {KEY}"}
READY_SECONDS = 40.0
KEPT = ("PATH", "COVERAGE", "LANG")


def settings(data_dir: Path, **more: str) -> dict[str, str]:
    """The environment of a preview gateway that knows KEY."""
    return {
        **{name: value for name, value in os.environ.items() if name.startswith(KEPT)},
        "VOXGATE_ENV": "preview",
        "ALLOWED_ORIGINS": "https://app.example.com",
        "JWT_SECRET": "k1:hQ7vN2xk-Zp4mWc9T_ry3Fb8Js5LdGe6Ua",
        "VOXGATE_API_KEYS": f"tests:operator:{hashlib.sha256(KEY.encode()).hexdigest()}",
        "VOXGATE_DATA_DIR": str(data_dir),
        "VOXGATE_FANOUT_ALLOW_NETS": "127.0.0.0/8",
        "VOXGATE_FANOUT_FILE": str(data_dir.parent / "fanout.toml"),
        "VOXGATE_FANOUT_STUB": "off",
        "VOXGATE_FANOUT_RATE": "0",
        "VOXGATE_LOG_LEVEL": "warning",
        **more,
    }


class GatewayProcess:
    """``voxgate serve`` on a socket that the test holds: while it is down, callers wait in the backlog."""

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self._environ = dict(environ)
        self._log = log
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start, and wait for the ready line."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "voxgate_gateway", "serve", "--json", "--fd", str(self._listener.fileno()),
                env=self._environ, stdout=asyncio.subprocess.PIPE, stderr=log, pass_fds=(self._listener.fileno(),),
                start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            line = await self._process.stdout.readline()
        assert json.loads(line or b"{}").get("event") == "ready", self._log.read_text("utf-8")[-3000:]

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and wait until it is gone."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        self._listener.close()

    def kill_nats(self) -> None:
        """SIGKILL the nats-server that this gateway runs."""
        os.kill(nats_of(self.pid), signal.SIGKILL)


@asynccontextmanager
async def gateway(environ: Mapping[str, str], log: Path) -> AsyncIterator[GatewayProcess]:
    """A gateway that has started, and is stopped at the end."""
    process = GatewayProcess(environ, log)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(process.stop)
        await process.start()
        yield process
