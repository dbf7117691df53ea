"""What fan-out costs: this gateway beside Celery with Redis, and beside a bare aiohttp loop as the limit, in one run.

Every way posts the same events to the same TARGETS URLs of one receiver, which runs in a process of its own. The gateway
runs as in production: events validated, fsynced before they count as accepted, signed, addresses checked, with a breaker,
a queue and a retry schedule for each target. Celery's tasks are acknowledged late, and its Redis fsyncs every second.
The bare loop keeps nothing and signs nothing: it is what aiohttp can post at all.

`deliveries` is deliveries per second from the first event to the last delivery, `cpu_us` the CPU of every process that
works for it (Python and nats-server, or Python and Redis; not the receiver) for one delivery. `accepts` is events made
durable per second by CALLERS callers, beside `plain`: one fsynced publish for each event over the same connection; the
cases `sync …` are the same with a disk that may lag behind. `many` is MANY targets of which HANGING never answer: how
late the others get theirs, and the longest time without any. `hostile` is TARGETS good ones beside five that hang, answer
500, reset, send a body of 1 GB, and show a bad certificate; those have a receiver process of their own.
The ways take turns, round after round; a figure is the median of its rounds.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers.receiver import receiver
from benchmarks.peers.redis_celery import CeleryPeer, celery_peer
from benchmarks.peers.relays import Relay
from voxgate_backplane import Backplane, Credentials, EmbeddedServer, backplane
from voxgate_core import Event
from voxgate_fanout import (
    AddressPolicy,
    Deliverer,
    Fanout,
    encode_event,
    new_event_id,
    new_target,
    secret_key,
    signed_headers,
)
from voxgate_fanout.delivery import Delivery
from voxgate_fanout.outcome import Outcome

TARGETS = 10
CALLERS = 64
IN_FLIGHT = 64
MANY = 1000
HANGING = 100
MANY_GROUP = 10  # targets one event of the many goes to
MANY_PER_SECOND = 50  # events: 500 deliveries a second
CELERY_THREADS = 16
LAGS = ("100ms", "2m")
STEADY_PER_SECOND = 40  # events beside hostile targets
TEXT = "x" * 600
SECONDS = 120.0  # for one measurement, at most

Figures = dict[str, float]


@dataclass
class Timed:
    """A sender that remembers when each delivery of a good target ended."""

    inner: Deliverer
    ended: dict[tuple[str, str], float] = field(default_factory=dict)

    async def deliver(self, delivery: Delivery) -> Outcome:
        outcome = await self.inner.deliver(delivery)
        if not is_bad(delivery.url):
            self.ended[delivery.headers["webhook-id"], delivery.url] = time.monotonic()
        return outcome


def event(kind: str = "bench.event") -> Event:
    """One event of about 900 bytes on the wire."""
    return Event(new_event_id(), "/bench", kind, time.time(), "session", {"text": TEXT, "sessionId": "session"})


@contextlib.asynccontextmanager
async def plane(folder: Path, sync: str = "always") -> AsyncIterator[tuple[Backplane, EmbeddedServer]]:
    """An embedded server on an empty folder, fsyncing everything unless told otherwise, and a connection to it."""
    async with EmbeddedServer(folder, sync=sync) as server:
        async with backplane(server.url, Credentials(server.user, server.password)) as opened:
            yield opened, server


async def by_callers(count: int, work: Callable[[], Awaitable[object]]) -> float:
    """Run ``work`` ``count`` times, CALLERS at a time; seconds it took."""

    async def caller() -> None:
        for _ in range(count // CALLERS):
            await work()

    began = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return time.monotonic() - began


async def accepts(events: int, sync: str = "always") -> tuple[Figures, Figures]:
    """Accepts by group commit, and one publish for each event."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            plane(Path(folder), sync) as (opened, _),
            Deliverer(AddressPolicy(), user_agent="bench") as deliverer,
        ):
            fanout = Fanout(opened.queue, opened.store, deliverer, prod=False)
            await fanout.registry.add(new_target(name="one", url="http://127.0.0.1:1/", now=time.time()))
            count = events // CALLERS * CALLERS
            ours = count / await by_callers(count, lambda: fanout.accept(event()))
            fewer = max(CALLERS, count // 4)
            body = encode_event(event())
            plain = fewer / await by_callers(fewer, lambda: opened.queue.put("events", body))
            return {"accepts": ours}, {"accepts": plain}


async def through_voxgate(url: str, events: int) -> Figures:
    """Accept events and deliver each to every target."""
    with tempfile.TemporaryDirectory() as folder:
        policy = AddressPolicy([ip_network("127.0.0.0/8")])
        async with plane(Path(folder)) as (opened, server), Deliverer(policy, user_agent="bench") as deliverer:
            fanout = Fanout(opened.queue, opened.store, deliverer, prod=False)
            for number in range(TARGETS):
                await fanout.registry.add(new_target(name=f"t{number}", url=f"{url}/{number}", now=time.time()))
            assert server.pid is not None
            worker = Relay("", (), (os.getpid(), server.pid))
            async with fanout.running():
                await fanout.accept(event())  # connections and code that the first event loads are not its price
                await until(lambda: fanout.dispatcher.stats.delivered >= TARGETS)
                count, before = events // CALLERS * CALLERS, worker.cpu_seconds()
                began = time.monotonic()
                await by_callers(count, lambda: fanout.accept(event()))
                wanted = (count + 1) * TARGETS
                await until(lambda: fanout.dispatcher.stats.delivered >= wanted)
                seconds = time.monotonic() - began
                used = worker.cpu_seconds() - before
                stats = fanout.dispatcher.stats
                assert stats.attempts == stats.delivered == wanted, stats
    deliveries = count * TARGETS
    return {
        "deliveries": deliveries / seconds,
        "cpu_us": used * 1e6 / deliveries,
        "spilled_share": stats.spilled / deliveries,
    }


async def through_aiohttp(url: str, events: int) -> Figures:
    """Post as fast as aiohttp does, IN_FLIGHT at a time."""
    body, key = encode_event(event()), secret_key("whsec_" + "A" * 43 + "=")
    headers = {**signed_headers("evt_bench", body, [key], time.time()), "Content-Type": "application/cloudevents+json"}
    count = events * TARGETS
    left = iter(range(count))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def poster() -> None:
            for number in left:
                async with session.post(f"{url}/{number % TARGETS}", data=body, headers=headers) as answer:
                    assert answer.status == 204

        worker = Relay("", (), (os.getpid(),))
        before, began = worker.cpu_seconds(), time.monotonic()
        await asyncio.gather(*(poster() for _ in range(IN_FLIGHT)))
        seconds = time.monotonic() - began
        return {"deliveries": count / seconds, "cpu_us": (worker.cpu_seconds() - before) * 1e6 / count}


async def through_celery(peer: CeleryPeer, url: str, events: int) -> Figures:
    """One task for each event and target, put into Redis by a thread of this process while the worker is at it."""
    os.environ["BENCH_REDIS"] = peer.redis
    from benchmarks.peers.celery_fanout import app, deliver

    app.conf.broker_url = peer.redis
    body, key = encode_event(event()), secret_key("whsec_" + "A" * 43 + "=")
    headers = {**signed_headers("evt_bench", body, [key], time.time()), "Content-Type": "application/cloudevents+json"}
    async with httpx.AsyncClient(trust_env=False) as client:

        async def posts() -> int:
            return int((await client.get(f"{url}/count")).json()["posts"])

        before_posts = await posts()
        await asyncio.to_thread(deliver.delay, f"{url}/0", body.decode(), headers)
        async with asyncio.timeout(SECONDS):
            while await posts() == before_posts:  # noqa: ASYNC110 - the worker is up once its first task is done
                await asyncio.sleep(0.05)
        count, start = events * TARGETS, await posts()
        worker = Relay("", (), (os.getpid(), *peer.pids()))
        used, began = worker.cpu_seconds(), time.monotonic()

        def publish() -> None:
            for number in range(count):
                deliver.delay(f"{url}/{number % TARGETS}", body.decode(), headers)

        publishing = asyncio.create_task(asyncio.to_thread(publish))
        async with asyncio.timeout(SECONDS):
            while await posts() - start < count:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(0.02)
        seconds = time.monotonic() - began
        await publishing
        return {"deliveries": count / seconds, "cpu_us": (worker.cpu_seconds() - used) * 1e6 / count}


async def many_targets(url: str, seconds: float, *, hanging: int) -> Figures:
    """MANY targets in groups of MANY_GROUP, ``hanging`` of them never answering, at a steady pace of events."""
    groups = MANY // MANY_GROUP
    urls = {
        f"{url}/hang/{number}" if number < hanging else f"{url}/{number}": f"bench.g{number % groups}"
        for number in range(MANY)
    }
    kinds = [f"bench.g{number}" for number in range(groups)]
    return await at_a_steady_pace(urls, kinds, seconds, MANY_PER_SECOND)


async def beside_hostile(url: str, bad: Sequence[str], seconds: float) -> Figures:
    """TARGETS good targets beside the ``bad`` URLs; the figures are of the good ones alone."""
    urls = dict.fromkeys([*(f"{url}/{number}" for number in range(TARGETS)), *bad], "bench.event")
    return await at_a_steady_pace(urls, ["bench.event"], seconds, STEADY_PER_SECOND)


async def at_a_steady_pace(urls: dict[str, str], kinds: list[str], seconds: float, per_second: int) -> Figures:
    """How late deliveries to good targets end; ``urls`` maps each target to the type of event it gets."""
    good = Counter(kind for target, kind in urls.items() if not is_bad(target))
    with tempfile.TemporaryDirectory() as folder:
        policy = AddressPolicy([ip_network("127.0.0.0/8")])
        async with plane(Path(folder)) as (opened, _), Deliverer(policy, user_agent="bench") as deliverer:
            timed = Timed(deliverer)
            fanout = Fanout(opened.queue, opened.store, timed, prod=False)
            accepted: dict[str, float] = {}
            for number, (target, kind) in enumerate(urls.items()):
                await fanout.registry.add(new_target(name=f"t{number}", url=target, now=time.time(), events=(kind,)))
            async with fanout.running():
                began, wanted = time.monotonic(), 0
                for number in range(int(seconds * per_second)):
                    await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
                    sent = event(kinds[number % len(kinds)])
                    wanted += good[sent.type]
                    accepted[sent.id] = time.monotonic()
                    await fanout.accept(sent)
                await until(lambda: len(timed.ended) >= wanted)
    times = sorted(at - accepted[event_id] for (event_id, _), at in timed.ended.items())
    ends = sorted(timed.ended.values())
    return {
        "p50_ms": 1e3 * times[len(times) // 2],
        "p99_ms": 1e3 * times[int(len(times) * 0.99)],
        "longest_gap_ms": 1e3 * max(later - earlier for earlier, later in pairwise(ends)),
    }


def is_bad(url: str) -> bool:
    """Whether the receiver does no good at this URL."""
    return url.startswith("https:") or any(path in url for path in ("/hang", "/500", "/reset", "/huge"))


async def until(done: Callable[[], bool]) -> None:
    """Look now and then; the program fails when it takes longer than SECONDS."""
    async with asyncio.timeout(SECONDS):
        while not done():  # noqa: ASYNC110 - counters have no events, and one for each would be part of the figure
            await asyncio.sleep(0.005)


async def measure(runs: int, events: int, many_seconds: float) -> dict[str, Any]:
    """Every case's figures, and how the gateway compares."""
    samples: dict[str, dict[str, list[float]]] = {}
    absent: list[str] = []

    def note(case: str, figures: Figures) -> None:
        for name, value in figures.items():
            samples.setdefault(case, {}).setdefault(name, []).append(value)

    def tell(text: str) -> None:
        print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)

    async with contextlib.AsyncExitStack() as stack:
        url, _ = await stack.enter_async_context(receiver())
        bad_url, secure_url = await stack.enter_async_context(receiver())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        celery = await stack.enter_async_context(celery_peer(folder, concurrency=CELERY_THREADS))
        if celery is None:
            absent.append("celery")
        for run in range(runs):
            place = f"round {run + 1} of {runs}"
            tell(f"{place}: voxgate")
            note("voxgate", await through_voxgate(url, events))
            tell(f"{place}: bare aiohttp")
            note("bare", await through_aiohttp(url, events))
            if celery is not None:
                tell(f"{place}: celery")
                note("celery", await through_celery(celery, url, max(1, events // 10)))
            tell(f"{place}: durable accepts")
            ours, plain = await accepts(8 * events)
            note("voxgate", ours)
            note("plain", plain)
            for sync in LAGS:
                ours, plain = await accepts(8 * events, sync)
                note(f"sync {sync}", ours)
                note(f"plain, sync {sync}", plain)
        if many_seconds:
            tell(f"{MANY} targets, all answering")
            note("many", await many_targets(url, many_seconds, hanging=0))
            tell(f"{MANY} targets, {HANGING} of them hanging")
            note("many, some hanging", await many_targets(url, many_seconds, hanging=HANGING))
            bad = [*(f"{bad_url}/{path}" for path in ("hang", "500", "reset", "huge")), secure_url]
            for _ in range(runs):
                tell(f"{TARGETS} targets alone")
                note("alone", await beside_hostile(url, [], many_seconds))
                tell(f"{TARGETS} targets beside hostile ones")
                note("hostile", await beside_hostile(url, bad, many_seconds))
        tell("")
    cases = {
        case: {name: round(statistics.median(values), 3) for name, values in figures.items()}
        for case, figures in samples.items()
    }
    return {
        "name": "fanout",
        "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        "runs": runs,
        "cases": cases,
        "ratios": ratios(cases),
        "absent": absent,
    }


def ratios(cases: dict[str, Figures]) -> Figures:
    """Ours over theirs; more is better for the first two and the accepts, less for the rest."""
    pairs = {
        "deliveries_vs_celery": ("voxgate", "celery", "deliveries"),
        "deliveries_vs_bare": ("voxgate", "bare", "deliveries"),
        "accepts_vs_plain": ("voxgate", "plain", "accepts"),
        "cpu_vs_celery": ("voxgate", "celery", "cpu_us"),
        "cpu_vs_bare": ("voxgate", "bare", "cpu_us"),
        "p99_hanging_vs_none": ("many, some hanging", "many", "p99_ms"),
        "p99_hostile_vs_alone": ("hostile", "alone", "p99_ms"),
    }
    return {
        name: round(cases[ours][figure] / cases[theirs][figure], 3)
        for name, (ours, theirs, figure) in pairs.items()
        if ours in cases and theirs in cases
    }


def print_table(result: dict[str, Any]) -> None:
    """The cases as a person reads them."""
    for case, figures in result["cases"].items():
        print(f"{case:<22}" + "  ".join(f"{name} {value:,.1f}" for name, value in figures.items()))
    for name in result["absent"]:
        print(f"{name}: absent (celery and redis-server must both be installed), so it is not compared")
    for name, ratio in result["ratios"].items():
        print(f"{name:<24}{ratio:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="rounds; figures are their medians (default 3)")
    parser.add_argument(
        "--events", type=int, default=2048, help=f"events to {TARGETS} targets each round (default 2048)"
    )
    parser.add_argument(
        "--many-seconds",
        type=float,
        default=30.0,
        help="how long each case of many or hostile targets runs (default 30); 0 leaves them out",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(measure(arguments.runs, arguments.events, arguments.many_seconds))
    print_table(result)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
