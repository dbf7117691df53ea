import pytest

from tests.gates.samples import assert_caught, assert_promises_kept, judged
from voxgate_gates import Verdict
from voxgate_gates.checks.realtime_resume import suite

CHECKS = {check.id.removeprefix("realtime."): check for check in suite}

LIES = [
    ("resumes-whole", "forgets-sessions"),
    ("resumes-whole", "replays-with-a-hole"),
    ("resumes-whole", "forgets-received"),
    ("resume-never-partial", "resumes-in-part"),
    ("resume-never-others", "resumes-for-anybody"),
    ("resume-never-others", "tells-strangers"),
]


async def test_an_honest_gateway_keeps_every_promise() -> None:
    await assert_promises_kept(suite)


@pytest.mark.parametrize(("name", "lie"), LIES)
async def test_a_lie_is_caught_by_the_check_meant_for_it(name: str, lie: str) -> None:
    await assert_caught(CHECKS[name], lie)


def test_every_check_has_a_lie() -> None:
    assert {name for name, _ in LIES} == set(CHECKS)


async def test_a_gateway_that_admits_nobody_can_not_be_judged() -> None:
    assert (await judged(CHECKS["resumes-whole"], "late-announcement")).verdict is Verdict.ERROR
