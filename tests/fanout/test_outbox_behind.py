"""When a target is behind, and that it never is for what others did."""

import asyncio

import pytest

from tests.fanout.bench import FAILED, Desk, a_target, an_item, items
from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle
from voxgate_fanout.load import PER_TARGET
from voxgate_fanout.outbox import (
    BEHIND_SECONDS,
    MAX_BEHIND_SECONDS,
    MAX_QUEUED,
    PATIENCE,
    STALLED,
    SUSPECT,
    SUSPECT_TIMES,
)
from voxgate_fanout.outcome import Outcome, OutcomeKind
from voxgate_fanout.watch import LOOK_SECONDS

new_loop = ManualLoop

SOON = LOOK_SECONDS / 2
"""Seconds too few for a look to notice anything."""


async def hung(concurrency: int = 2) -> Desk:
    """An outbox whose target answers nothing any more."""
    desk = Desk(a_target(concurrency=concurrency))
    desk.office.hangs = True
    desk.offer(*items(concurrency))
    await settle()
    return desk


async def test_a_target_that_ends_nothing_is_stalled_and_what_waits_is_spilled() -> None:
    desk = await hung()
    waiting = desk.offer(*items(5, first=3))
    await elapse(STALLED - LOOK_SECONDS)
    assert desk.office.spilled == []
    await elapse(2 * LOOK_SECONDS)
    assert desk.office.spilled == ["evt_3", "evt_4", "evt_5", "evt_6", "evt_7"]
    assert waiting.settled().done()
    assert desk.office.attempts == ["evt_1", "evt_2"]
    await desk.end()


async def test_what_comes_while_it_is_behind_is_spilled_at_once() -> None:
    desk = await hung()
    desk.offer(an_item(3))
    await elapse(STALLED + LOOK_SECONDS)
    now = manual_clock().monotonic()
    await desk.offer(an_item(4)).settled()
    assert desk.office.spilled == ["evt_3", "evt_4"]
    assert manual_clock().monotonic() == now
    await desk.end()


async def test_a_target_with_a_free_place_is_never_stalled() -> None:
    desk = Desk(a_target(concurrency=3))
    desk.office.hangs = True
    desk.offer(*items(2))
    await elapse(5 * PATIENCE)
    await settle()
    assert desk.office.spilled == []
    await desk.end()


async def test_a_target_that_ends_one_now_and_then_is_not_stalled() -> None:
    desk = await hung(1)
    desk.offer(*items(3, first=2))
    for _ in range(3):
        await elapse(STALLED - LOOK_SECONDS)
        desk.office.let_go()
        await settle()
    assert desk.office.spilled == []
    await desk.end()


async def test_a_parcel_that_waited_for_too_long_has_the_queue_spilled() -> None:
    desk = await hung(1)
    desk.offer(*items(40, first=2))
    for _ in range(int(PATIENCE / LOOK_SECONDS)):
        assert desk.office.spilled == []
        await elapse(LOOK_SECONDS - SOON)
        desk.office.let_go()
        await elapse(SOON)
    assert desk.office.spilled[-1] == "evt_41"
    assert len(desk.office.spilled) + len(desk.office.attempts) == 41
    await desk.end()


async def test_one_parcel_too_many_has_the_queue_spilled_at_once() -> None:
    desk = await hung()
    for number in range(MAX_QUEUED):
        desk.offer(an_item(f"q{number}"))
    await settle()
    assert desk.office.spilled == []
    desk.offer(an_item("more"))
    await settle()
    assert len(desk.office.spilled) == MAX_QUEUED + 1
    assert manual_clock().monotonic() == 0.0
    await desk.end()


async def test_a_healthy_target_is_given_more_than_that_as_fast_as_it_takes_it() -> None:
    desk = Desk(a_target(concurrency=4))
    for number in range(10):
        await desk.offer(*[an_item(f"{number}_{n}") for n in range(MAX_QUEUED // 2)]).settled()
    assert desk.office.spilled == []
    assert len(desk.office.delivered) == 5 * MAX_QUEUED
    await desk.end()


async def test_kept_parcels_wait_for_as_long_as_it_takes() -> None:
    desk = await hung()
    kept = desk.offer(*[an_item(f"k{n}") for n in range(2 * MAX_QUEUED)], kept=True)
    desk.offer(an_item("fresh"))
    await elapse(10 * PATIENCE)
    assert desk.office.spilled == ["evt_fresh"]
    desk.office.hangs = False
    desk.office.let_go()
    await kept.settled()
    assert desk.office.spilled == ["evt_fresh"]
    await desk.end()


async def spell_behind(desk: Desk) -> float:
    """Seconds for which the outbox spills at once what comes; it begins and ends not behind."""
    desk.offer(an_item("waits"))
    while desk.outbox.waiting > desk.office.in_flight:
        await elapse(LOOK_SECONDS)
    began = manual_clock().monotonic()
    while True:
        receipt = desk.offer(an_item("asks"))
        await settle()
        if not receipt.settled().done():
            return manual_clock().monotonic() - began
        await elapse(LOOK_SECONDS)


async def test_being_behind_grows_and_is_forgotten_once_everything_keeps_up() -> None:
    desk = await hung()
    spells = [await spell_behind(desk) for _ in range(7)]
    expected = [BEHIND_SECONDS * 2**n for n in range(5)] + [MAX_BEHIND_SECONDS] * 2
    assert spells == [pytest.approx(seconds, abs=3 * LOOK_SECONDS) for seconds in expected]
    desk.office.hangs = False
    desk.office.let_go()
    await elapse(MAX_BEHIND_SECONDS + PATIENCE)
    await desk.offer(an_item("well")).settled()
    desk.office.hangs = True
    desk.offer(*[an_item(f"again{n}") for n in range(2)])
    await settle()
    assert await spell_behind(desk) == pytest.approx(BEHIND_SECONDS, abs=3 * LOOK_SECONDS)
    await desk.end()


async def test_failures_do_not_make_it_forgotten() -> None:
    desk = await hung()
    await spell_behind(desk)
    await elapse(MAX_BEHIND_SECONDS)
    desk.office.otherwise, desk.office.hangs = FAILED, False
    desk.office.let_go()
    await settle()
    desk.office.hangs = True
    desk.offer(*[an_item(f"again{n}") for n in range(2)])
    await settle()
    # Whoever asked last before had made it fall behind for the second time.
    assert await spell_behind(desk) == pytest.approx(4 * BEHIND_SECONDS, abs=3 * LOOK_SECONDS)
    await desk.end()


# -- a loop that was busy elsewhere ----------------------------------------------------------------------------------


@pytest.mark.parametrize("starved", [0.3, 1.0, 5.0])
async def test_a_starved_loop_makes_nobody_fall_behind(starved: float) -> None:
    desk = await hung(1)
    receipt = desk.offer(*items(10, first=2))
    await elapse(LOOK_SECONDS + SOON)
    manual_clock().advance(starved)  # something else kept the loop: the answer is there, and nobody could see it
    await settle()
    assert desk.office.spilled == []
    desk.office.hangs = False
    desk.office.let_go()
    await receipt.settled()
    assert desk.office.spilled == []
    await desk.end()


async def test_a_loop_that_is_starved_again_and_again_still_sees_a_stalled_target() -> None:
    desk = await hung(1)
    desk.offer(an_item(2))
    for _ in range(40):
        manual_clock().advance(0.3)
        await settle()
        if desk.office.spilled:
            break
    assert desk.office.spilled == ["evt_2"]
    await desk.end()


# -- what counts as load ---------------------------------------------------------------------------------------------


async def test_what_waits_for_a_target_that_may_be_hanging_does_not_count_as_load() -> None:
    desk = await hung()
    desk.offer(*items(PER_TARGET, first=3))
    assert not desk.may_open()
    await elapse(SUSPECT)
    assert desk.may_open()
    desk.offer(*items(100, first=200))
    assert desk.may_open()
    desk.office.let_go("evt_1")
    await settle()
    assert not desk.may_open(), "it ended one: it is only slow"
    desk.office.hangs = False
    desk.office.let_go()
    await settle()
    assert desk.may_open()
    assert desk.office.spilled == []
    await desk.end()


async def test_a_target_that_takes_its_time_is_not_suspected_before_twice_of_it() -> None:
    desk = Desk(a_target(concurrency=2))
    desk.office.otherwise = Outcome(OutcomeKind.DELIVERED, 200, "HTTP 200", None, 0.09)
    await desk.offer(an_item("slow")).settled()
    desk.office.hangs = True
    desk.offer(*items(PER_TARGET + 2))
    await elapse(SUSPECT_TIMES * 0.09 - SOON)
    assert not desk.may_open()
    await elapse(LOOK_SECONDS)
    assert desk.may_open()
    await desk.end()


async def test_a_suspect_that_falls_behind_counts_again_from_then_on() -> None:
    desk = await hung()
    desk.offer(*items(PER_TARGET, first=3))
    await elapse(STALLED + LOOK_SECONDS)
    assert len(desk.office.spilled) == PER_TARGET
    await elapse(BEHIND_SECONDS)
    desk.offer(*items(PER_TARGET, first=300))
    assert not desk.may_open()
    await desk.end()


# -- one hung target beside healthy ones -----------------------------------------------------------------------------


async def test_falling_behind_costs_one_write_for_all_that_waited() -> None:
    desk = await hung()
    desk.offer(*items(100, first=3))
    await elapse(STALLED + LOOK_SECONDS)
    assert (desk.office.writes, len(desk.office.spilled)) == (1, 100)
    await asyncio.gather(*(desk.offer(an_item(f"n{n}")).settled() for n in range(50)))
    assert desk.office.writes == 2
    await desk.end()
