"""Small things many tests of the gates need."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.gates.fake_gateway import FakeGateway, fake_target
from voxgate_gates import (
    Check,
    Condition,
    Credentials,
    Need,
    Probe,
    Redactor,
    Result,
    RunReport,
    Severity,
    Suite,
    Target,
    Verdict,
    run_checks,
)

__all__ = [
    "FAKE_SERVE",
    "SECRET",
    "assert_caught",
    "assert_promises_kept",
    "fake_gateway",
    "judged",
    "made_check",
    "made_report",
    "made_result",
    "needs_gateway",
    "nothing",
]

FAKE_SERVE = Path(__file__).with_name("fake_serve.py")
needs_gateway = pytest.mark.skipif(
    find_spec("voxgate_gateway") is None, reason="voxgate_gateway is not installed: the gates are tested alone"
)
SECRET = "vk_planted-and-never-to-be-seen"


async def nothing(probe: Probe) -> Mapping[str, object]:
    return {}


def made_check(
    name: str = "sample",
    *,
    run: Callable[[Probe], Awaitable[Mapping[str, object]]] = nothing,
    condition: str = "[STATUS] == 401",
    needs: frozenset[Need] = frozenset(),
    seconds: float = 5.0,
    slow: bool = False,
    safe: bool = True,
    gate: str = "security",
) -> Check:
    return Check(
        id=f"{gate}.{name}",
        gate=gate,
        promise="A sample keeps its promise.",
        condition=Condition.parse(condition),
        run=run,
        advice="Repair the sample.",
        severity=Severity.MAJOR,
        safe_on_production=safe,
        needs=needs,
        seconds=seconds,
        slow=slow,
    )


def made_result(
    verdict: Verdict = Verdict.PASS, *, name: str = "sample", gate: str = "security", got: str = "401", text: str = ""
) -> Result:
    return Result.made(
        made_check(name, gate=gate),
        verdict,
        got,
        redactor=Redactor(),
        seconds=0.25,
        request=f"GET http://h/{text}",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        reproduce=f"curl http://h/{text}",
        shortfalls=("[STATUS] == 401, got 200",) if verdict is Verdict.FAIL else (),
        figures=(("first audio", "480 ms"),) if verdict is Verdict.PASS else (),
    )


def made_report(*results: Result) -> RunReport:
    return RunReport("0.2.0rc2", "http://127.0.0.1:1", 1_700_000_000.0, 1.5, results)


@asynccontextmanager
async def fake_gateway(*lies: str, environment: str = "preview", **changes: object) -> AsyncIterator[Target]:
    """A fake gateway, honest but for the lies, as a target."""
    made = Credentials()
    async with FakeGateway(made.environment(environment), lies=frozenset(lies)) as gateway:
        yield fake_target(gateway, made, **changes)


async def judged(check: Check, *lies: str, environment: str = "preview", **changes: object) -> Result:
    """What one check says about a gateway that tells these lies."""
    async with fake_gateway(*lies, environment=environment, **changes) as target:
        report = await run_checks(target, [check], version="test")
    return report.results[0]


async def assert_promises_kept(suite: Suite) -> RunReport:
    """Every check of ``suite`` passes on an honest gateway; the report of that run."""
    async with fake_gateway() as target:
        report = await run_checks(target, list(suite), version="test")
    assert [result.echo for result in report.results if result.verdict is not Verdict.PASS] == []
    return report


async def assert_caught(check: Check, lie: str) -> None:
    """``check`` fails on a gateway that tells ``lie``, and says what fell short."""
    result = await judged(check, lie)
    assert result.verdict is Verdict.FAIL
    assert result.shortfalls
