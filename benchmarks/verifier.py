"""Measures what a token and an Origin cost, beside PyJWT alone and Starlette's CORS middleware in the same run.

Every figure is microseconds of one call. Calls of all cases are interleaved in rounds, so that a busy moment of the
machine hits them all; a case's figure is the median of its rounds' figures. ``wall`` is what a caller waits; ``cpu``
leaves out the time that other processes were given. The ratio ``p99_us`` is of HS256, which rings use unless told
otherwise; an Ed25519 signature alone costs several times as much, and stands in the table beside it.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from voxgate_core import Environment, Leash, MemoryKeyValue, SystemClock, VoxgateError
from voxgate_security import (
    KeyRing,
    MissingOrigin,
    OriginPolicy,
    Revocations,
    TokenIssuer,
    TokenRequest,
    Verifier,
    inspect,
)

P99_BAR_US: Final = 150.0
ORIGIN_BAR_US: Final = 5.0
ORIGIN = "https://app.example.com"
BATCH: Final = 100
"""Origin verdicts timed together: one alone is too short for the clock."""

Figures = dict[str, float]


def percentile(values: list[int], share: float) -> float:
    """The value below which ``share`` of the nanoseconds lie, in microseconds."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1000


def timed(call: Callable[[], object], count: int) -> tuple[list[int], list[int]]:
    """Wall and CPU nanoseconds of each of ``count`` calls."""
    wall, cpu = [], []
    for _ in range(count):
        cpu_before, before = time.thread_time_ns(), time.perf_counter_ns()
        call()
        after, cpu_after = time.perf_counter_ns(), time.thread_time_ns()
        wall.append(after - before)
        cpu.append(cpu_after - cpu_before)
    return wall, cpu


def finish(step: Coroutine[Any, Any, object]) -> object:
    """Run a coroutine that never waits: with the in-memory store nothing here does."""
    try:
        step.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("the store waited")


def token_cases(algorithm: str, ring: KeyRing) -> dict[str, Callable[[], object]]:
    """One token, read three ways."""
    clock = SystemClock()
    store = MemoryKeyValue(clock)
    leash = Leash(seconds=600, tokens=20_000, session={"model": "gpt-realtime-2.1", "output_modalities": ["audio"]})
    token = TokenIssuer(ring, clock, Environment.DEV).issue(TokenRequest("user-4711", ORIGIN, leash=leash)).token
    verifier = Verifier(ring, clock, Environment.DEV, store, Revocations(store, clock))
    key = ring.active

    def bare() -> object:
        return jwt.decode(
            token, key.verifying, algorithms=[key.algorithm], audience="voxgate-realtime", issuer="voxgate"
        )

    return {
        f"guard and verify, {algorithm}": lambda: finish(verifier.verify(token, origin=ORIGIN, single_use=False)),
        f"guard alone, {algorithm}": lambda: inspect(token),
        f"bare PyJWT decode, {algorithm}": bare,
    }


def single_use_case(ring: KeyRing, count: int) -> Callable[[], object]:
    """A fresh token each time, spent."""
    clock = SystemClock()
    store = MemoryKeyValue(clock)
    issuer = TokenIssuer(ring, clock, Environment.DEV)
    verifier = Verifier(ring, clock, Environment.DEV, store, Revocations(store, clock))
    tokens = iter([issuer.issue(TokenRequest("user-4711", ORIGIN)).token for _ in range(count)])
    return lambda: finish(verifier.verify(next(tokens), origin=ORIGIN, single_use=True))


def origin_cases() -> tuple[dict[str, Callable[[], object]], str | None]:
    """Verdicts on four kinds of origin, and the peer's on one; the name of the peer when it is absent."""
    allowed = [f"https://app{number}.example.com" for number in range(20)] + [ORIGIN, "https://*.preview.example.com"]
    policy = OriginPolicy.parse(Environment.PREVIEW, allowed, missing=MissingOrigin.REQUIRE)

    def verdict(*values: bytes) -> Callable[[], object]:
        def judge() -> object:
            for _ in range(BATCH):
                try:
                    policy.admit(values)
                except VoxgateError:
                    continue
            return None

        return judge

    cases = {
        "Origin, exact": verdict(ORIGIN.encode()),
        "Origin, wildcard label": verdict(b"https://pr-1234.preview.example.com"),
        "Origin, refused": verdict(b"https://evil.example"),
        "Origin, absent": verdict(),
    }
    try:
        from starlette.middleware.cors import CORSMiddleware
    except ImportError:
        return cases, "Starlette CORSMiddleware.is_allowed_origin"

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        return None

    peer = CORSMiddleware(
        nothing, allow_origins=allowed, allow_origin_regex=r"https://[a-z0-9-]+\.preview\.example\.com"
    )

    def ask(origin: str) -> Callable[[], object]:
        def judge() -> object:
            for _ in range(BATCH):
                peer.is_allowed_origin(origin)
            return None

        return judge

    cases["Starlette is_allowed_origin, exact"] = ask(ORIGIN)
    cases["Starlette is_allowed_origin, by regex"] = ask("https://pr-1234.preview.example.com")
    return cases, None


def ed25519_ring() -> KeyRing:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyRing.parse("ed:" + pem.decode().strip().replace("\n", "\\n"))


def measure(runs: int, count: int) -> dict[str, object]:
    """Everything, as one JSON object in the shape all benchmarks share."""
    ring = KeyRing.generate()
    tokens = {**token_cases("HS256", ring), **token_cases("EdDSA", ed25519_ring())}
    tokens["guard, verify and spend, HS256"] = single_use_case(ring, runs * count + count)
    origins, absent = origin_cases()
    for call in (*tokens.values(), *origins.values()):
        timed(call, min(count, 50))  # warm up
    samples: dict[str, list[Figures]] = {}
    for _ in range(runs):
        for name, call in tokens.items():
            gc.collect()
            wall, cpu = timed(call, count)
            figures = {
                "wall_p50_us": percentile(wall, 0.5), "wall_p99_us": percentile(wall, 0.99),
                "cpu_p50_us": percentile(cpu, 0.5), "cpu_p99_us": percentile(cpu, 0.99),
            }  # fmt: skip
            samples.setdefault(name, []).append(figures)
        for name, call in origins.items():
            wall, _ = timed(call, max(count // BATCH, 10))
            figures = {
                "wall_p50_us": percentile(wall, 0.5) / BATCH, "wall_p99_us": percentile(wall, 0.99) / BATCH,
            }  # fmt: skip
            samples.setdefault(name, []).append(figures)
    cases: dict[str, Mapping[str, object]] = {
        name: {figure: round(statistics.median(run[figure] for run in rows), 3) for figure in rows[0]}
        for name, rows in samples.items()
    }
    if absent is not None:
        cases[absent] = {"absent": True}
    worst_origin = max(float(str(cases[name]["wall_p99_us"])) for name in origins if name.startswith("Origin"))
    return {
        "name": "verifier",
        "machine": machine(),
        "runs": runs,
        "cases": cases,
        "ratios": {"p99_us": cases["guard and verify, HS256"]["wall_p99_us"], "origin_us": worst_origin},
    }


def machine() -> dict[str, object]:
    return {
        "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(), "load": [round(load, 2) for load in os.getloadavg()],
    }  # fmt: skip


def print_table(result: dict[str, Any]) -> None:
    figures = ("wall_p50_us", "wall_p99_us", "cpu_p50_us", "cpu_p99_us")
    print(f"{'microseconds a call':<44}" + "".join(f"{figure.removesuffix('_us'):>10}" for figure in figures))
    for name, row in result["cases"].items():
        cells = "absent" if "absent" in row else "".join(f"{row.get(figure, ''):>10}" for figure in figures)
        print(f"{name:<44}{cells}")
    ratios = result["ratios"]
    print(f"guard and verify, HS256, at p99: {ratios['p99_us']} us, bar {P99_BAR_US:g}")
    print(f"Origin verdict, slowest kind at p99: {ratios['origin_us']} us, bar {ORIGIN_BAR_US:g}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure token verification and the Origin verdict.")
    parser.add_argument("--runs", type=int, default=7, help="rounds; a figure is the median of them")
    parser.add_argument("--count", type=int, default=2000, help="calls of each case in a round")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    options = parser.parse_args()
    result = measure(max(options.runs, 1), max(options.count, 1))
    print_table(result)
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
