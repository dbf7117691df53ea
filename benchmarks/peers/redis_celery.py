"""Runs Redis and a Celery worker for the benchmark, when both are installed."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class CeleryPeer:
    """A worker that is up; ``pids`` are all processes that work for it."""

    redis: str
    pids: Callable[[], tuple[int, ...]]


def children_of(pid: int) -> tuple[int, ...]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        listing = Path(f"/proc/{parent}/task/{parent}/children")
        found += [int(child) for child in listing.read_text().split()] if listing.exists() else []
    return tuple(found)


@contextlib.asynccontextmanager
async def celery_peer(folder: Path, *, concurrency: int) -> AsyncIterator[CeleryPeer | None]:
    """A Redis and a worker of ``concurrency`` threads; ``None`` where one of them is not installed."""
    server = shutil.which("redis-server")
    if server is None or importlib.util.find_spec("celery") is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "")
        durable = ("--appendonly", "yes", "--appendfsync", "everysec")
        redis = await _started(stack, server, *options, *durable, environ={})
        url = f"redis://127.0.0.1:{port}/0"
        worker = await _started(
            stack, sys.executable, "-m", "celery", "-A", "benchmarks.peers.celery_fanout", "worker", "--pool=threads",
            f"--concurrency={concurrency}", "--loglevel=warning", "--without-gossip", "--without-mingle",
            "--without-heartbeat", environ={"BENCH_REDIS": url},
        )  # fmt: skip
        yield CeleryPeer(url, lambda: (redis.pid, *children_of(worker.pid)))


async def _started(
    stack: contextlib.AsyncExitStack, *command: str, environ: dict[str, str]
) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )

    async def stop() -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    stack.push_async_callback(stop)
    return process
