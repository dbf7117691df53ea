"""Runs checks, several at once, and keeps what ran when it is interrupted."""

import asyncio
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx
from websockets.exceptions import WebSocketException

from voxgate_gates.check import Check
from voxgate_gates.probe import Misanswered, Probe, Unjudged, http_client
from voxgate_gates.redaction import Redactor
from voxgate_gates.result import Result, RunReport, Verdict
from voxgate_gates.target import NotOffered, Target
from voxgate_gates.visible import visible

__all__ = ["CONCURRENCY", "Finished", "Progress", "Started", "errored", "run_checks"]

CONCURRENCY: Final = 8
"""Checks in flight. Most of their time is waiting: five seconds for one socket, two for a sentence."""


INTERRUPTED: Final = "interrupted before it was judged"


@dataclass(frozen=True, slots=True)
class Started:
    """A check has begun."""

    check: Check


@dataclass(frozen=True, slots=True)
class Finished:
    """A check was judged; ``done`` of ``total`` are."""

    result: Result
    done: int
    total: int


Progress = Callable[[Started | Finished], None]


async def run_checks(
    target: Target,
    checks: Sequence[Check],
    *,
    version: str,
    strict: bool = False,
    concurrency: int = CONCURRENCY,
    stop: asyncio.Event | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Judge every check; results stand in the order of ``checks``. Never raises for what a target does.

    Setting ``stop`` ends the run early: checks that had not finished are reported as errors, those that had are kept.
    ``progress`` is called on the event loop and must not wait.
    """
    started, began = time.time(), time.monotonic()
    redactor = target.redactor()
    results: dict[str, Result] = {}
    # Slow ones first: what waits longest must not begin last.
    waiting = sorted(checks, key=lambda check: not check.slow)
    slots = asyncio.Semaphore(concurrency)
    announce = progress or _silent

    async with http_client(target) as client:

        async def judge(check: Check) -> None:
            async with slots:
                announce(Started(check))
                probe = Probe(target, client, redactor, check.id)
                result = await _judge(check, probe, redactor)
                results[check.id] = result.strictly() if strict else result
                announce(Finished(results[check.id], len(results), len(checks)))

        tasks = [asyncio.create_task(judge(check), name=check.id) for check in waiting]
        await _all_or_stop(tasks, stop)

    ordered = [results.get(check.id) or _error(check, INTERRUPTED, redactor) for check in checks]
    left = len(checks) - len(results)
    notes = (f"The run was interrupted before {left} of its checks were judged.",) if left else ()
    return RunReport(version, target.url, started, round(time.monotonic() - began, 3), tuple(ordered), notes)


def errored(checks: Iterable[Check], reason: str, *, version: str, target: str) -> RunReport:
    """The report of a run that never began. Each check gets the first line of ``reason``, the run all of it."""
    redactor = Redactor()
    results = tuple(_error(check, reason.partition("\n")[0], redactor) for check in checks)
    return RunReport(version, target, time.time(), 0.0, results, notes=(visible(redactor.text(reason)),))


async def _all_or_stop(tasks: Sequence[asyncio.Task[None]], stop: asyncio.Event | None) -> None:
    stopping = asyncio.create_task(_wait_for(stop or asyncio.Event()))
    running = set(tasks)
    try:
        while running and not stopping.done():
            done, _ = await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in running & done:
                task.result()  # a check's own fault is a result; what is raised here is a fault of the runner's
            running -= done
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def _judge(check: Check, probe: Probe, redactor: Redactor) -> Result:
    lacking = probe.target.lacks(check.needs)
    if lacking:
        return Result.made(check, Verdict.SKIP, probe.target.excuse(lacking), redactor=redactor)
    began = time.monotonic()
    shortfalls: tuple[str, ...] = ()
    try:
        async with asyncio.timeout(check.seconds):
            facts = await check.run(probe)
    except NotOffered as error:
        verdict, got = Verdict.SKIP, str(error)
    except Exception as error:
        verdict, got = _explain(error, check.seconds)
    else:
        evaluation = check.condition.evaluate(facts)
        verdict = Verdict.PASS if evaluation.held else Verdict.FAIL
        got, shortfalls = evaluation.got, evaluation.shortfalls
    return Result.made(
        check,
        verdict,
        got,
        redactor=redactor,
        seconds=time.monotonic() - began,
        request=probe.request,
        trace_id=probe.trace_id,
        reproduce=probe.reproduce,
        shortfalls=shortfalls,
        figures=probe.figures,
    )


def _explain(error: Exception, seconds: float) -> tuple[Verdict, str]:
    """A target that can't be reached is not judged; one that is there and does not answer falls short."""
    match error:
        case Unjudged():
            return Verdict.ERROR, str(error)
        case Misanswered():
            return Verdict.FAIL, str(error)
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.ProxyError():
            return Verdict.ERROR, f"the target cannot be reached: {_said(error)}"
        case httpx.TimeoutException() | TimeoutError():
            return Verdict.FAIL, f"no answer in time ({seconds:g} s at most)"
        case httpx.TransportError() | WebSocketException():
            return Verdict.FAIL, f"the connection broke without an answer: {_said(error)}"
        case OSError():
            return Verdict.ERROR, f"the target cannot be reached: {error}"
        case _:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            return (
                Verdict.ERROR,
                f"the check itself failed: {type(error).__name__}: {error} ({frame.name}:{frame.lineno})",
            )


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _error(check: Check, reason: str, redactor: Redactor) -> Result:
    return Result.made(check, Verdict.ERROR, reason, redactor=redactor)


def _silent(event: Started | Finished) -> None:
    return None
