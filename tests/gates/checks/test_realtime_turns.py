import pytest

from tests.gates.samples import assert_caught, assert_promises_kept, judged
from voxgate_gates import Budgets, Verdict
from voxgate_gates.checks.realtime_turns import suite

CHECKS = {check.id.removeprefix("realtime."): check for check in suite}

LIES = [
    ("turn-by-vad", "no-speech-started"),
    ("turn-by-vad", "endless-speech"),
    ("turn-by-vad", "no-transcript"),
    ("turn-by-push-to-talk", "no-commit-event"),
    ("turn-by-push-to-talk", "silent-answer"),
    ("turn-by-push-to-talk", "failed-response"),
    ("openai-path-silent", "announce-everywhere"),
    ("invalid-json-1007", "json-1011"),
    ("binary-1003", "binary-1000"),
    ("binary-1003", "no-reason"),
    ("oversize-1009", "oversize-1000"),
]


async def test_an_honest_gateway_keeps_every_promise_and_is_timed() -> None:
    report = await assert_promises_kept(suite)
    timed = {result.id for result in report.results if dict(result.figures).get("first audio")}
    assert timed == {"realtime.turn-by-vad", "realtime.turn-by-push-to-talk"}


@pytest.mark.parametrize(("name", "lie"), LIES)
async def test_a_lie_is_caught_by_the_check_meant_for_it(name: str, lie: str) -> None:
    await assert_caught(CHECKS[name], lie)


def test_every_check_has_a_lie() -> None:
    assert {name for name, _ in LIES} == set(CHECKS)


async def test_an_answer_later_than_its_budget_falls_short() -> None:
    result = await judged(CHECKS["turn-by-push-to-talk"], budgets=Budgets(first_audio_ms=-1))  # which nobody keeps
    assert result.verdict is Verdict.FAIL
    assert [shortfall.partition(",")[0] for shortfall in result.shortfalls] == [
        "[FIRST_AUDIO_MS] <= [FIRST_AUDIO_BUDGET_MS]"
    ]
