"""What relaying a message costs: this gateway beside nginx and a Starlette relay, in one run.

Clients and an echoing upstream run in this process, each relay in a process of its own. Every message goes through the
relay twice, there and back, and counts twice. CPU is what the kernel says the relay's threads used, over messages
relayed: at full speed (SATURATING_CONNECTIONS, each with one message on its way), and at the pace of speech (CONNECTIONS
sessions, a message each INTERVAL), where hardly two messages share a wake-up. Added latency is the round trip at the pace
of speech less the one without a relay. The relays take turns, round after round, so that whatever else the machine does
hits them alike; a figure is the median of its rounds.

The ratio to a peer is CPU for one message of each size, ours over theirs; the sizes are listed one by one behind it.

The gateway runs as in production: token verified, origin checked, every message decoded, screened, counted, bounded.
The peers do nothing but relay.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers.load import echo_server, open_clients, pace, saturate
from benchmarks.peers.relays import Relay, nginx, starlette, voxgate

SIZES = {"2KB": 2048, "8KB": 8192}
CONNECTIONS = 64
INTERVAL = 0.02  # seconds: 50 messages a second, as a microphone in 20 ms pieces
SATURATING_CONNECTIONS = 16
TURNS = 5  # at full speed, in one round: a turn is short, and what disturbs it is gone in the next
IDLE_CONNECTIONS = 200
WARM_UP = 20

Figures = dict[str, float]

RATIOS = {
    "cpu_us": ("cpu", ""),
    "cpu_paced_us": ("cpu", "_paced"),
    "added_p50_us": ("added_p50", ""),
    "added_p99_us": ("added_p99", ""),
    "kib_per_connection": ("kib", ""),
}
"""Each figure with the name of its ratio to a peer, before and after ``_vs_<peer>``."""


def percentile(values: list[int], share: float) -> float:
    """The value below which ``share`` of the sorted values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def at_the_pace_of_speech(relay: Relay, size: int, messages: int) -> tuple[float, list[int]]:
    """CPU microseconds for one message one way, and every round trip in nanoseconds."""
    each = max(1, messages // (2 * CONNECTIONS))
    async with open_clients(relay, CONNECTIONS) as clients:
        await pace(clients, WARM_UP, size, INTERVAL)
        before = relay.cpu_seconds()
        times = await pace(clients, each, size, INTERVAL)
        used = relay.cpu_seconds() - before
    return used * 1e6 / (2 * each * CONNECTIONS), times


async def at_full_speed(relay: Relay, size: int, messages: int) -> float:
    """CPU microseconds for one message one way."""
    each = max(1, messages // (2 * SATURATING_CONNECTIONS))
    async with open_clients(relay, SATURATING_CONNECTIONS) as clients:
        await saturate(clients, WARM_UP, size)
        before = relay.cpu_seconds()
        await saturate(clients, each, size)
        used = relay.cpu_seconds() - before
    return used * 1e6 / (2 * each * SATURATING_CONNECTIONS)


async def kib_per_connection(relay: Relay, count: int) -> float:
    """Resident KiB that an idle connection costs, upstream connection included."""
    async with open_clients(relay, 8):
        pass  # code and pools that the first connections load are not the price of a connection
    before = relay.resident_kib()
    async with open_clients(relay, count):
        return (relay.resident_kib() - before) / count


async def measure(runs: int, messages: int, idle: int) -> dict[str, Any]:
    """Every case's figures, and how the gateway compares."""
    samples: dict[str, dict[str, list[float]]] = {}
    memory: dict[str, float] = {}
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(echo_server())
        relays: dict[str, Relay | None] = {
            "voxgate": await stack.enter_async_context(voxgate(upstream)),
            "starlette": await stack.enter_async_context(starlette(upstream)),
            "nginx": await stack.enter_async_context(nginx(upstream)),
        }
        direct = Relay(upstream, (), ())
        present = {name: relay for name, relay in relays.items() if relay is not None}
        for name, relay in present.items():
            memory[name] = await kib_per_connection(relay, idle)
        for run in range(runs):
            for label, size in SIZES.items():
                _, bare = await at_the_pace_of_speech(direct, size, messages)
                for name, relay in present.items():
                    print(f"\rround {run + 1} of {runs}: {label} {name:<12}", end="", file=sys.stderr, flush=True)
                    case = samples.setdefault(f"{name} {label}", {})
                    cpu, through = await at_the_pace_of_speech(relay, size, messages)
                    case.setdefault("cpu_paced_us", []).append(cpu)
                    for figure, share in (("added_p50_us", 0.5), ("added_p99_us", 0.99)):
                        added = (percentile(through, share) - percentile(bare, share)) / 1e3
                        case.setdefault(figure, []).append(added)
                for _ in range(TURNS):
                    for name, relay in present.items():
                        cpu = await at_full_speed(relay, size, messages)
                        samples[f"{name} {label}"].setdefault("cpu_us", []).append(cpu)
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)
    cases: dict[str, Figures] = {}
    for label, figures in samples.items():
        cases[label] = {figure: round(statistics.median(values), 2) for figure, values in figures.items()}
        cases[label]["kib_per_connection"] = round(memory[label.split(" ")[0]], 1)
    return {
        "name": "relay",
        "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        "runs": runs,
        "cases": cases,
        "ratios": ratios(cases),
        "absent": [name for name, relay in relays.items() if relay is None],
    }


def ratios(cases: dict[str, Figures]) -> Figures:
    """The gateway's figures over each peer's: one message of each size together, then each size."""
    found: Figures = {}
    for figure, (name, suffix) in RATIOS.items():
        for peer in ("starlette", "nginx"):
            pairs = {
                label: (cases[f"voxgate {label}"][figure], cases[f"{peer} {label}"][figure])
                for label in SIZES
                if f"{peer} {label}" in cases
            }
            if not pairs or min(min(pair) for pair in pairs.values()) <= 0:
                continue  # a latency below that of no relay at all is noise, and its ratio would be none
            ours, theirs = (sum(column) for column in zip(*pairs.values(), strict=True))
            found[f"{name}_vs_{peer}{suffix}"] = round(ours / theirs, 3)
            for label, (own, other) in pairs.items():
                found[f"{name}_vs_{peer}{suffix}_{label.lower()}"] = round(own / other, 3)
    return found


def print_table(result: dict[str, Any]) -> None:
    """The cases as a person reads them."""
    print(
        f"{'':<16}{'CPU µs/message':>16}{'at speech pace':>15}{'added p50 µs':>14}{'added p99 µs':>14}{'KiB/session':>13}"
    )
    for case, figures in result["cases"].items():
        print(
            f"{case:<16}{figures['cpu_us']:>16.1f}{figures['cpu_paced_us']:>15.1f}{figures['added_p50_us']:>14.0f}"
            f"{figures['added_p99_us']:>14.0f}{figures['kib_per_connection']:>13.0f}"
        )
    for name in result["absent"]:
        print(f"{name}: absent (not installed here), so it is not compared")
    for name, ratio in result["ratios"].items():
        print(f"{name:<36}{ratio:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="rounds; figures are their medians (default 5)")
    parser.add_argument("--messages", type=int, default=10_000, help="messages a round relays per case (default 10000)")
    parser.add_argument("--idle", type=int, default=IDLE_CONNECTIONS, help="idle connections to weigh (default 200)")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(measure(arguments.runs, arguments.messages, arguments.idle))
    print_table(result)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
