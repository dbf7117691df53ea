import asyncio
import socket
from collections.abc import Mapping
from dataclasses import replace

import httpx
import pytest

from tests.gates.samples import made_check
from voxgate_gates import Need, Probe, Routes, Target, Unjudged, Verdict, run_checks
from voxgate_gates.runner import Finished, Started, errored

TARGET = Target("http://127.0.0.1:9", key="vk_planted-secret-of-the-run")


async def good(probe: Probe) -> Mapping[str, object]:
    return {"STATUS": 401}


async def bad(probe: Probe) -> Mapping[str, object]:
    probe.figure("speed", "slow")
    return {"STATUS": 200}


async def endless(probe: Probe) -> Mapping[str, object]:
    await asyncio.Event().wait()
    return {}


def failing(error: Exception) -> "type[None]":
    async def run(probe: Probe) -> Mapping[str, object]:
        raise error

    return run  # type: ignore[return-value] # a check's function, whatever it is called here


async def test_results_stand_in_the_order_of_the_checks_whatever_finishes_first() -> None:
    checks = [made_check("one", run=good), made_check("two", run=bad, slow=True), made_check("three", run=good)]
    report = await run_checks(TARGET, checks, version="test")
    assert [result.id for result in report.results] == ["security.one", "security.two", "security.three"]
    assert [result.verdict for result in report.results] == [Verdict.PASS, Verdict.FAIL, Verdict.PASS]
    assert report.results[1].shortfalls == ("[STATUS] == 401, got 200",)
    assert report.results[1].figures == (("speed", "slow"),)
    assert report.exit_code == 1


async def test_progress_tells_of_every_beginning_and_end_slow_ones_first() -> None:
    seen: list[str] = []

    def tell(event: Started | Finished) -> None:
        match event:
            case Started(check):
                seen.append(f"+{check.id}")
            case Finished(result, done, total):
                seen.append(f"-{result.id} {done}/{total}")

    checks = [made_check("one", run=good), made_check("two", run=good, slow=True)]
    await run_checks(TARGET, checks, version="test", concurrency=1, progress=tell)
    assert seen == ["+security.two", "-security.two 1/2", "+security.one", "-security.one 2/2"]


async def test_checks_run_side_by_side() -> None:
    meeting = asyncio.Barrier(3)

    async def meet(probe: Probe) -> Mapping[str, object]:
        await meeting.wait()
        return {"STATUS": 401}

    checks = [made_check(str(number), run=meet) for number in range(3)]
    report = await run_checks(TARGET, checks, version="test", concurrency=3)
    assert report.verdict is Verdict.PASS


async def test_a_lacking_need_skips_and_strict_makes_it_fail() -> None:
    check = made_check(run=good, needs=frozenset({Need.ORIGIN, Need.KEY}))
    report = await run_checks(TARGET, [check], version="test")
    assert report.results[0].got == "needs an allowed origin"
    assert report.verdict is Verdict.SKIP
    strict = await run_checks(TARGET, [check], version="test", strict=True)
    assert strict.verdict is Verdict.FAIL


async def test_a_check_that_does_not_finish_falls_short() -> None:
    report = await run_checks(TARGET, [made_check(run=endless, seconds=0.05)], version="test")
    assert report.results[0].verdict is Verdict.FAIL
    assert "no answer in time" in report.results[0].got


@pytest.mark.parametrize(
    ("error", "verdict", "told"),
    [
        (Unjudged("no token to begin with"), Verdict.ERROR, "no token to begin with"),
        (httpx.ConnectError("refused"), Verdict.ERROR, "cannot be reached: refused"),
        (ConnectionRefusedError("refused"), Verdict.ERROR, "cannot be reached"),
        (httpx.ReadTimeout(""), Verdict.FAIL, "no answer in time"),
        (httpx.RemoteProtocolError(""), Verdict.FAIL, "broke without an answer: RemoteProtocolError"),
        (KeyError("token"), Verdict.ERROR, "the check itself failed: KeyError: 'token' (run:"),
        (ValueError("vk_planted-secret-of-the-run"), Verdict.ERROR, "$VOXGATE_KEY"),
    ],
)
async def test_what_goes_wrong_is_told_apart(error: Exception, verdict: Verdict, told: str) -> None:
    report = await run_checks(TARGET, [made_check(run=failing(error))], version="test")  # type: ignore[arg-type] # see failing
    assert report.results[0].verdict is verdict
    assert told in report.results[0].got
    assert "planted" not in repr(report)


async def test_a_route_that_the_target_does_not_have_skips_what_asks_for_it() -> None:
    async def ask(probe: Probe) -> Mapping[str, object]:
        await probe.http("POST", probe.target.routes.revoke)
        return {"STATUS": 401}

    target = replace(TARGET, routes=Routes(revoke=""))
    report = await run_checks(target, [made_check(run=ask)], version="test")
    assert report.verdict is Verdict.SKIP
    assert report.results[0].got == "needs a route that this target is said not to have: revoke"


async def test_an_unreachable_target_is_not_judged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def ask(probe: Probe) -> Mapping[str, object]:
        return (await probe.http("GET", "/")).facts()

    report = await run_checks(Target(f"http://127.0.0.1:{port}"), [made_check(run=ask)], version="test")
    assert report.exit_code == 2
    assert report.results[0].request.startswith("GET http://127.0.0.1")


async def test_stopping_keeps_what_ran_and_leaves_the_rest_unjudged() -> None:
    stop = asyncio.Event()

    def tell(event: Started | Finished) -> None:
        if isinstance(event, Finished):
            stop.set()

    checks = [made_check("one", run=good), made_check("two", run=endless)]
    report = await run_checks(TARGET, checks, version="test", stop=stop, progress=tell)
    assert [result.verdict for result in report.results] == [Verdict.PASS, Verdict.ERROR]
    assert "interrupted" in report.results[1].got
    assert report.notes == ("The run was interrupted before 1 of its checks were judged.",)
    assert report.exit_code == 2


async def test_a_cancelled_run_cancels_its_checks() -> None:
    cancelled = asyncio.Event()
    begun = asyncio.Event()

    async def wait(probe: Probe) -> Mapping[str, object]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return {}

    run = asyncio.create_task(run_checks(TARGET, [made_check(run=wait)], version="test"))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert cancelled.is_set()


async def test_a_fault_of_the_progress_callback_is_not_swallowed() -> None:
    def tell(event: Started | Finished) -> None:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        await run_checks(TARGET, [made_check(run=good)], version="test", progress=tell)


def test_a_run_that_never_began_says_why_once_and_first_lines_everywhere() -> None:
    report = errored([made_check("one"), made_check("two")], "it did not start\nTraceback", version="v", target="t")
    assert report.exit_code == 2
    assert report.notes == ("it did not start\nTraceback",)
    assert {result.got for result in report.results} == {"it did not start"}
