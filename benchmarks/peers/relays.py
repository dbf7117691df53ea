"""The relays that are compared, each a process of its own: this gateway, a Starlette relay, nginx."""

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

__all__ = ["Relay", "nginx", "run_process", "starlette", "voxgate"]

READY_SECONDS = 30.0
STOP_SECONDS = 10.0
ORIGIN = "https://bench.example"

NGINX_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_buffering off;
            proxy_read_timeout 3600s;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Relay:
    """A running relay: ``url`` takes clients that send ``headers``; ``pids`` do its work."""

    url: str
    headers: tuple[tuple[str, str], ...]
    pids: tuple[int, ...]

    def cpu_seconds(self) -> float:
        """CPU time used so far, user and system, by every thread of every process (Linux ``schedstat``, in ns)."""
        total = 0
        for pid in self.pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def resident_kib(self) -> int:
        """Resident memory in KiB, over all processes."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids)
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024


@contextlib.asynccontextmanager
async def voxgate(upstream: str) -> AsyncIterator[Relay]:
    """This gateway as an operator runs it in preview, every check on."""
    key = f"vk_{secrets.token_urlsafe(32)}"
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        environ = {
            "VOXGATE_ENV": "preview",
            "ALLOWED_ORIGINS": ORIGIN,
            "JWT_SECRET": f"bench:{secrets.token_urlsafe(48)}",
            "VOXGATE_API_KEYS": f"bench:operator:{hashlib.sha256(key.encode()).hexdigest()}",
            "VOXGATE_UPSTREAM": upstream,
            "VOXGATE_MAX_SESSIONS": "4096",
            "VOXGATE_MAX_SESSIONS_PER_TOKEN": "4096",
            "VOXGATE_DATA_DIR": folder,
            "VOXGATE_LOG_LEVEL": "warning",
        }
        command = (sys.executable, "-m", "voxgate_gateway", "serve", "--fd", str(listener.fileno()))
        port = listener.getsockname()[1]
        async with run_process(command, environ, listener.fileno()) as process:
            assert process.stdout is not None
            await asyncio.wait_for(process.stdout.readline(), READY_SECONDS)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                headers = {"Authorization": f"Bearer {key}", "Origin": ORIGIN}
                answer = await http.post("/api/realtime/token", json={"sub": "bench"}, headers=headers)
                token = answer.raise_for_status().json()["token"]
            yield Relay(
                f"ws://127.0.0.1:{port}/v1/realtime",
                (("Authorization", f"Bearer {token}"), ("Origin", ORIGIN)),
                (process.pid,),
            )


@contextlib.asynccontextmanager
async def starlette(upstream: str) -> AsyncIterator[Relay]:
    """The Starlette and websockets relay on one uvicorn worker."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        command = (
            sys.executable, "-m", "uvicorn", "benchmarks.peers.starlette_relay:app", "--fd", str(listener.fileno()),
            "--loop", "uvloop", "--http", "httptools", "--ws-per-message-deflate", "false", "--log-level", "warning",
            "--ws-max-size", str(16 * 1024 * 1024),
        )  # fmt: skip
        port = listener.getsockname()[1]
        root = str(Path(__file__).parents[2])
        async with run_process(command, {"UPSTREAM": upstream, "PYTHONPATH": root}, listener.fileno()) as process:
            yield Relay(f"ws://127.0.0.1:{port}/v1/realtime", (), (process.pid,))


@contextlib.asynccontextmanager
async def nginx(upstream: str) -> AsyncIterator[Relay | None]:
    """nginx with one worker as a WebSocket proxy; ``None`` where it is not installed."""
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as reserved:  # nginx takes no socket handed down without tricks
            port = reserved.getsockname()[1]
        address = upstream.removeprefix("ws://").partition("/")[0]
        configuration = _write(Path(folder, "nginx.conf"), folder=folder, port=port, upstream=address)
        async with run_process((binary, "-c", str(configuration), "-e", f"{folder}/error.log"), {}, None) as process:
            await _accepting(port)
            yield Relay(f"ws://127.0.0.1:{port}/v1/realtime", (), _children(process.pid))


def _write(path: Path, **values: object) -> Path:
    path.write_text(NGINX_CONFIGURATION.format(**values))
    return path


def _children(pid: int) -> tuple[int, ...]:
    return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@contextlib.asynccontextmanager
async def run_process(
    command: Sequence[str], environ: dict[str, str], descriptor: int | None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own session, with these settings and few of ours; it is stopped with the context."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "HOME", "TMPDIR")}
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**kept, **environ},
        pass_fds=() if descriptor is None else (descriptor,),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _accepting(port: int) -> None:
    deadline = asyncio.get_running_loop().time() + READY_SECONDS
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.01)  # nginx says nothing when it listens; asking is the only way to know
        else:
            writer.close()
            await writer.wait_closed()
            return
