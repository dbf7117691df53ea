import pytest

from tests.gates.samples import assert_caught, assert_promises_kept, judged
from voxgate_gates import Budgets, Verdict, select
from voxgate_gates.checks.build_fanout import suite

CHECKS = {check.id.removeprefix("build."): check for check in suite}

LIES = [
    ("fanout-accepted", "stub-off"),
    ("fanout-accepted", "no-event-id"),
    ("fanout-accepted", "fanout-503"),
    ("fanout-delivered", "stub-off"),
    ("fanout-delivered", "bad-signature"),
    ("fanout-delivered", "delivered-twice"),
    ("fanout-delivered", "delivered-late-again"),
    ("fanout-delivered", "another-event"),
    ("fanout-delivered", "another-type"),
    ("fanout-delivered", "no-event-id"),
    ("fanout-delivered", "fanout-503"),
    ("fanout-idempotent", "stub-off"),
    ("fanout-idempotent", "replay-new-event"),
    ("fanout-idempotent", "replay-untold"),
    ("fanout-idempotent", "replay-delivered"),
    ("fanout-idempotent", "delivers-one"),
    ("fanout-idempotent", "fanout-503"),
    ("fanout-key-reused-409", "reused-key"),
    ("fanout-key-reused-409", "reused-key-unnamed"),
    ("fanout-key-reused-409", "plain-409"),
    ("fanout-key-reused-409", "fanout-503"),
    ("fanout-forgery-401", "believes-forgeries"),
    ("fanout-forgery-401", "notes-forgeries"),
    ("fanout-forgery-401", "stub-off"),
    ("fanout-unauthenticated-401", "open-fanout"),
    ("fanout-unauthenticated-401", "no-www-authenticate"),
    ("fanout-unauthenticated-401", "plain-401"),
    ("fanout-bad-origin-403", "any-origin"),
    ("fanout-bad-origin-403", "acao-on-refusal"),
    ("fanout-bad-origin-403", "plain-403"),
    ("fanout-bad-body-400", "malformed-500"),
    ("fanout-bad-body-400", "invalid-422"),
    ("fanout-bad-body-400", "guesses-data"),
    ("fanout-bad-body-400", "last-type-wins"),
    ("fanout-bad-body-400", "plain-400"),
    ("fanout-too-large-413", "any-size"),
    ("fanout-too-large-413", "plain-413"),
]


async def test_an_honest_gateway_keeps_every_promise_and_its_delivery_is_timed() -> None:
    report = await assert_promises_kept(suite)
    timed = {result.id: dict(result.figures)["event received"] for result in report.results if result.figures}
    assert list(timed) == ["build.fanout-delivered"]
    assert timed["build.fanout-delivered"].endswith(" ms after its POST began, at most")


@pytest.mark.parametrize(("name", "lie"), LIES)
async def test_a_lie_is_caught_by_the_check_meant_for_it(name: str, lie: str) -> None:
    await assert_caught(CHECKS[name], lie)


def test_every_check_has_a_lie() -> None:
    assert {name for name, _ in LIES} == set(CHECKS)


async def test_a_stub_that_is_off_is_not_waited_for() -> None:
    result = await judged(CHECKS["fanout-delivered"], "stub-off")
    assert "[STUB] == true, got false" in result.shortfalls
    assert "[STATUS] == 200, got 404" in result.shortfalls
    assert result.seconds < 3


async def test_a_stub_that_never_receives_is_a_shortfall_once_the_time_is_over() -> None:
    budgets = Budgets(fanout_seconds=0.6)
    result = await judged(CHECKS["fanout-delivered"], "never-delivered", budgets=budgets)
    assert result.verdict is Verdict.FAIL
    assert "[STATUS] == 200, got 404" in result.shortfalls
    assert "[RECEIVED_AFTER] <= [ARRIVAL_BUDGET], got nothing and 0.6" in result.shortfalls
    assert result.seconds >= budgets.fanout_seconds
    assert result.figures == ()


@pytest.mark.parametrize("name", ["fanout-delivered", "fanout-idempotent"])
async def test_a_repetition_that_comes_late_is_seen_by_its_count(name: str) -> None:
    result = await judged(CHECKS[name], "delivered-late-again")
    assert result.verdict is Verdict.FAIL
    assert result.shortfalls == ("[BODY].data.deliveries == 1, got 2",)


def test_events_are_posted_to_no_production() -> None:
    refused = {"fanout-unauthenticated-401", "fanout-bad-origin-403", "fanout-too-large-413"}
    assert {check.id for check in select(suite, readonly=True)} == {f"build.{name}" for name in refused}


@pytest.mark.parametrize(
    ("name", "lie"),
    [
        ("fanout-unauthenticated-401", "open-fanout"),
        ("fanout-bad-origin-403", "any-origin"),
        ("fanout-too-large-413", "any-size"),
    ],
)
async def test_what_is_safe_on_production_posts_no_event_even_where_it_is_let_in(name: str, lie: str) -> None:
    result = await judged(CHECKS[name], lie)
    assert "[STATUS] is 400" in result.got


async def test_the_trace_id_of_a_failed_delivery_is_that_of_the_post() -> None:
    result = await judged(CHECKS["fanout-delivered"], "stub-off")
    assert result.request.startswith("POST http://")
    assert result.trace_id in result.request
