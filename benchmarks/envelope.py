"""What the envelope costs: EnvelopeMiddleware and respond() beside a bare FastAPI route, in one run.

Three applications answer the same data, each in a process of its own, under uvicorn with uvloop and httptools: a bare
route that returns a dict, as FastAPI's own documentation writes it; a bare route that returns a JSONResponse, which
spares FastAPI's encoder; and a route that returns respond(), inside the middleware. Clients run in this process, each
with one request on its way. CPU is what the kernel says the server's threads used, over requests answered. The
applications take turns, so that whatever else the machine does hits them alike; a figure is the median of its turns.

The ratio ``overhead`` is the envelope's CPU over the dict route's in the same round, less one, and the median of all
rounds: 0.15 means 15 % more, a figure below zero less. ``overhead_vs_response`` is the same against the route that
returns a JSONResponse.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import re
import socket
import statistics
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers.relays import Relay, run_process

BAR: Final = 0.15
CASES: Final = {"bare, a dict": "bare_dict", "bare, a response": "bare_response", "envelope": "envelope"}
PEERS: Final = {"overhead": "bare, a dict", "overhead_vs_response": "bare, a response"}
CONNECTIONS: Final = 16
WARM_UP: Final = 100
"""Requests on each connection before the first turn is counted."""

READY_SECONDS: Final = 30.0
REQUEST: Final = b"GET /api/sample HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"

_length = re.compile(rb"content-length: (\d+)", re.IGNORECASE).search


@dataclass
class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered. Answers are all of one size."""

    left: int = 0
    size: int = 0
    read: int = 0
    head: bytes = b""
    transport: asyncio.Transport | None = None
    done: "asyncio.Future[None] | None" = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        if not self.size:
            self.head += data
            head, blank, _ = self.head.partition(b"\r\n\r\n")
            found = _length(head)
            if not blank or found is None:
                return
            if not head.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"answered {head[:40]!r}")
            self.size = len(head) + len(blank) + int(found[1])
            data = self.head
        self.read += len(data)
        if self.read < self.size:
            return
        self.read = 0
        self.left -= 1
        if self.left:
            self._ask()
        elif self.done is not None:
            self.done.set_result(None)

    async def ask(self, count: int) -> None:
        """Ask ``count`` times, one after the other."""
        self.left, self.done = count, asyncio.get_running_loop().create_future()
        self._ask()
        await self.done

    def _ask(self) -> None:
        assert self.transport is not None
        self.transport.write(REQUEST)


@contextlib.asynccontextmanager
async def serving(name: str) -> AsyncIterator[tuple[Relay, list[Client]]]:
    """One application in a process of its own, and clients that are connected to it and warmed up."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        # Connections inherit it. uvicorn does not set it on a socket that was handed down, and each answer is two writes.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        command = (
            sys.executable, "-m", "uvicorn", f"benchmarks.peers.envelope_apps:{name}", "--fd", str(listener.fileno()),
            "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", "--lifespan", "off",
            "--timeout-keep-alive", "600",
        )  # fmt: skip
        port = listener.getsockname()[1]
        root = str(Path(__file__).parents[1])
        async with run_process(command, {"PYTHONPATH": root}, listener.fileno()) as process:
            loop = asyncio.get_running_loop()
            clients = [(await loop.create_connection(Client, "127.0.0.1", port))[1] for _ in range(CONNECTIONS)]
            # Connections wait in the backlog until the server is there.
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.gather(*(client.ask(WARM_UP) for client in clients))
            try:
                yield Relay(f"http://127.0.0.1:{port}", (), (process.pid,)), clients
            finally:
                for client in clients:
                    assert client.transport is not None
                    client.transport.abort()


async def turn(server: Relay, clients: list[Client], requests: int) -> float:
    """CPU microseconds for one request."""
    each = max(1, requests // len(clients))
    before = server.cpu_seconds()
    await asyncio.gather(*(client.ask(each) for client in clients))
    return (server.cpu_seconds() - before) * 1e6 / (each * len(clients))


async def measure(runs: int, requests: int) -> dict[str, Any]:
    """Every case's figures, and what the envelope adds."""
    samples: dict[str, list[float]] = {case: [] for case in CASES}
    async with contextlib.AsyncExitStack() as stack:
        servers = {case: await stack.enter_async_context(serving(name)) for case, name in CASES.items()}
        for run in range(runs):
            print(f"\rround {run + 1} of {runs}", end="", file=sys.stderr, flush=True)
            for case, (server, clients) in servers.items():
                samples[case].append(await turn(server, clients, requests))
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)
    cases = {case: {"cpu_us": round(statistics.median(values), 2)} for case, values in samples.items()}
    return {
        "name": "envelope",
        "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        "runs": runs,
        "cases": cases,
        "ratios": ratios(samples),
        "absent": [],
    }


def ratios(samples: dict[str, list[float]]) -> dict[str, float]:
    """What the envelope adds to each bare route, as a share of that route's CPU: the median of what rounds show."""
    ours = samples["envelope"]
    return {
        name: round(statistics.median(own / other for own, other in zip(ours, samples[peer], strict=True)) - 1, 3)
        for name, peer in PEERS.items()
    }


def print_table(result: dict[str, Any]) -> None:
    """The cases as a person reads them."""
    print(f"{'':<20}{'CPU µs/request':>16}")
    for case, figures in result["cases"].items():
        print(f"{case:<20}{figures['cpu_us']:>16.1f}")
    for name, ratio in result["ratios"].items():
        print(f"{name:<36}{ratio:+.1%}")
    print(f"the bar for overhead is {BAR:.0%}: {'held' if result['ratios']['overhead'] < BAR else 'missed'}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60, help="rounds; figures are their medians (default 60)")
    parser.add_argument("--requests", type=int, default=480, help="requests of one turn (default 480)")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(measure(arguments.runs, arguments.requests))
    print_table(result)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
