"""A fuzz target for the guard, the verifier and the Origin parser, to be run by hand for as long as you like:

    python -m tests.security.fuzz_guard --seconds 60

It draws hostile bytes near valid ones, and stops at the first input that is accepted without being one of the good
ones, or that raises anything but a refusal. Prints how many inputs it tried.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.helpers.origin_cases import ALLOWED, CASES, ENVIRONMENT, MISSING
from tests.security.hostile_tokens import CONTROLS, HOSTILE
from tests.security.rig import World
from voxgate_core import VoxgateError
from voxgate_security import OriginPolicy, inspect

BATCH = 500
TOKENS = sorted({case.token for case in (*HOSTILE, *CONTROLS) if len(case.token) < 5000})
GOOD = {case.token.removeprefix("ek_").rpartition(".")[0] for case in CONTROLS}
ORIGINS = sorted({value for case in CASES for value in case.values})
ADMITTED = {case.values[0] for case in CASES if case.allowed}


@st.composite
def near_tokens(draw: st.DrawFn) -> str:
    """A known token, cut and glued with another one and with noise."""
    token, other = draw(st.sampled_from(TOKENS)), draw(st.sampled_from(TOKENS))
    start = draw(st.integers(0, len(token)))
    stop = draw(st.integers(start, min(len(token), start + 40)))
    filling = draw(st.one_of(st.text(max_size=8), st.just(other[start:stop]), st.just("")))
    return token[:start] + filling + token[stop:]


@st.composite
def near_origins(draw: st.DrawFn) -> bytes:
    """A known origin with some bytes exchanged."""
    origin, other = draw(st.sampled_from(ORIGINS)), draw(st.sampled_from(ORIGINS))
    start = draw(st.integers(0, len(origin)))
    stop = draw(st.integers(start, len(origin)))
    return origin[:start] + draw(st.one_of(st.binary(max_size=4), st.just(other[start:stop]))) + origin[stop:]


def attack_guard(token: str) -> None:
    """Nothing but a refusal may come out of the guard; nothing unsigned by us out of the verifier."""
    try:
        inspect(token)
        world = World()
        asyncio.run(world.verifier.verify(token, origin="https://app.example.com", single_use=True))
    except VoxgateError:
        return
    assert token.removeprefix("ek_").rpartition(".")[0] in GOOD, "a token nobody made was accepted"


def attack_origins(value: bytes) -> None:
    """What is admitted is an entry, or one label in place of the star."""
    policy = OriginPolicy.parse(ENVIRONMENT, ALLOWED, missing=MISSING)
    try:
        admitted = policy.admit([value])
    except VoxgateError:
        return
    assert admitted is not None
    assert admitted.encode() == value
    head, _, rest = value.partition(b".")
    label = head.removeprefix(b"https://").decode("ascii")
    exact = value.decode() in ALLOWED
    starred = f"https://*.{rest.decode()}" in ALLOWED and label == label.lower() and label.replace("-", "").isalnum()
    assert exact or starred, "an origin nobody allowed was admitted"


def run(seconds: float, batch: int = BATCH) -> int:
    """Fuzz for at least ``seconds``, one batch of each target at least; the number of inputs tried."""
    tried = 0
    deadline = time.monotonic() + seconds

    def target(strategy: st.SearchStrategy[str] | st.SearchStrategy[bytes], attack: Callable[..., None]) -> None:
        @settings(
            max_examples=batch, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(strategy)
        def fuzz(value: object) -> None:
            nonlocal tried
            tried += 1
            attack(value)

        fuzz()

    while True:
        target(near_tokens(), attack_guard)
        target(near_origins(), attack_origins)
        if time.monotonic() >= deadline:
            return tried


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the token guard and the Origin parser.")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long, at least")
    sys.stdout.write(f"{run(parser.parse_args().seconds)} inputs, none accepted that should not be\n")


if __name__ == "__main__":
    main()
