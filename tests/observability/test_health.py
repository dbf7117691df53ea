import asyncio
from collections.abc import Mapping

import pytest

from voxgate_observability import Health, HealthCheck, Phase


class Part:
    """Something that is looked at: counts the looks, and fares as it is told."""

    def __init__(self, **found: object) -> None:
        self.looks = 0
        self.found = found
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def look(self) -> Mapping[str, object]:
        self.looks += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return self.found


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


async def test_each_check_is_named_and_timed_and_may_add_its_figures() -> None:
    health = Health(
        [HealthCheck(name="a", look=Part(free=7).look), HealthCheck(name="b", look=Part(status="full").look)]
    )
    verdicts = await health.judge()
    assert {name: {k: v for k, v in found.items() if k != "seconds"} for name, found in verdicts.items()} == {
        "a": {"status": "ok", "free": 7},
        "b": {"status": "full"},
    }
    assert all(isinstance(found["seconds"], float) for found in verdicts.values())
    assert health.failing(verdicts) == []


async def test_a_good_answer_holds_for_its_time_and_not_longer() -> None:
    part, clock = Part(), Hands()
    health = Health([HealthCheck(name="a", look=part.look, kept=5.0)], now=clock)
    await health.judge()
    clock.at = 4.9
    await health.judge()
    assert part.looks == 1
    clock.at = 5.0
    await health.judge()
    assert part.looks == 2


async def test_a_bad_answer_is_looked_at_again_at_once() -> None:
    part = Part()
    part.fault = OSError("secret-host is away")
    health = Health([HealthCheck(name="a", look=part.look, kept=60.0)])
    first = await health.judge()
    assert (first["a"]["status"], first["a"]["reason"]) == ("down", "OSError")
    assert "secret-host" not in str(first)
    part.fault = None
    assert (await health.judge())["a"]["status"] == "ok"


async def test_what_is_known_to_be_gone_is_looked_at_whatever_was_found_before() -> None:
    part, there = Part(), [True]
    health = Health([HealthCheck(name="a", look=part.look, kept=60.0, holds=lambda: there[0])])
    await health.judge()
    there[0] = False
    await health.judge()
    assert part.looks == 2


async def test_a_check_that_hangs_is_down_within_its_time() -> None:
    part = Part()
    part.gate = asyncio.Event()
    health = Health([HealthCheck(name="a", look=part.look, seconds=0.01)])
    verdicts = await health.judge()
    assert (verdicts["a"]["status"], verdicts["a"]["reason"]) == ("down", "no answer within 0.01 s")
    assert health.failing(verdicts) == ["a"]


async def test_a_crowd_that_asks_at_once_makes_one_look() -> None:
    part = Part()
    part.gate = asyncio.Event()
    health = Health([HealthCheck(name="a", look=part.look, seconds=5.0, kept=5.0)])
    asking = [asyncio.create_task(health.judge()) for _ in range(50)]
    await asyncio.sleep(0)
    part.gate.set()
    answers = await asyncio.gather(*asking)
    assert part.looks == 1
    assert len({str(answer) for answer in answers}) == 1


async def test_what_is_not_needed_takes_nobody_out() -> None:
    part = Part()
    part.fault = OSError()
    health = Health([HealthCheck(name="a", look=part.look, needed=False)])
    verdicts = await health.judge()
    assert verdicts["a"]["status"] == "down"
    assert health.failing(verdicts) == []


async def test_the_last_verdicts_can_be_had_without_asking_anybody() -> None:
    part = Part()
    health = Health([HealthCheck(name="a", look=part.look)])
    assert health.last() == {}
    await health.judge()
    assert (health.last()["a"]["status"], part.looks) == ("ok", 1)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_process_starts_and_the_rest_is_said_by_others(phase: Phase) -> None:
    health = Health([])
    assert health.phase is Phase.STARTING
    health.phase = phase
    assert health.phase is phase
