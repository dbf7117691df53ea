"""What the breaker, the rate and ordered lanes make of an outbox."""

import asyncio

import msgspec
import pytest

from tests.fanout.bench import FAILED, Desk, a_target, an_item, items
from tests.fanout.fake_queue import DELIVERED
from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle
from voxgate_fanout.breaker import FAILURES, OPEN_SECONDS, PROBE_SECONDS, BreakerState
from voxgate_fanout.outbox import PATIENCE, STALLED, TIMER_SLACK, Pace
from voxgate_fanout.outcome import Outcome
from voxgate_fanout.watch import LOOK_SECONDS

new_loop = ManualLoop

RESTED = OPEN_SECONDS + 2 * TIMER_SLACK


async def opened(*, concurrency: int = 2) -> Desk:
    """An outbox whose breaker has just opened."""
    desk = Desk(a_target(concurrency=concurrency))
    desk.office.otherwise = FAILED
    await desk.offer(*items(FAILURES)).settled()
    assert desk.outbox.breaker.state is BreakerState.OPEN
    await settle()
    desk.office.attempts.clear()
    desk.office.concluded.clear()
    return desk


# -- the breaker -----------------------------------------------------------------------------------------------------


async def test_while_the_breaker_is_open_everything_is_spilled_and_the_lanes_are_paused() -> None:
    desk = await opened()
    assert desk.office.paces == [Pace.STOPPED]
    await asyncio.gather(desk.offer(an_item(6)).settled(), desk.offer(an_item(7), kept=True).settled())
    assert desk.office.spilled == ["evt_6", "evt_7"]
    assert desk.office.attempts == []
    await desk.end()


async def test_what_waits_when_it_opens_is_spilled_kept_parcels_too() -> None:
    desk = Desk(a_target(concurrency=1))
    desk.office.otherwise = FAILED
    fresh, kept = desk.offer(*items(10)), desk.offer(*items(10, first=11), kept=True)
    await asyncio.gather(fresh.settled(), kept.settled())
    assert len(desk.office.attempts) == FAILURES
    assert len(desk.office.spilled) == 20 - FAILURES
    await desk.end()


async def test_when_it_has_rested_the_lanes_bring_one_job_and_its_success_opens_them() -> None:
    desk = await opened()
    await elapse(OPEN_SECONDS - LOOK_SECONDS)
    assert desk.office.paces == [Pace.STOPPED]
    await elapse(2 * LOOK_SECONDS)
    assert desk.office.paces == [Pace.STOPPED, Pace.PROBING]
    desk.office.otherwise = DELIVERED
    receipt = desk.offer(*items(20, first=6), kept=True)
    await settle()
    await receipt.settled()
    assert desk.office.paces == [Pace.STOPPED, Pace.PROBING, Pace.FULL]
    assert desk.office.spilled == []
    await desk.end()


async def test_one_probe_is_in_flight_and_the_others_wait_for_what_it_tells() -> None:
    desk = await opened(concurrency=8)
    await elapse(RESTED)
    desk.office.hangs = True
    receipt = desk.offer(*items(20, first=6), kept=True)
    await elapse(PATIENCE)
    assert len(desk.office.attempts) == 1
    desk.office.otherwise = DELIVERED
    desk.office.let_go()
    await settle()
    assert len(desk.office.attempts) == 9
    desk.office.hangs = False
    desk.office.let_go()
    await receipt.settled()
    await desk.end()


async def test_a_probe_that_fails_sends_the_others_back_and_the_rest_is_twice_as_long() -> None:
    desk = await opened()
    await elapse(RESTED)
    await desk.offer(*items(4, first=6), kept=True).settled()
    assert (len(desk.office.attempts), len(desk.office.spilled)) == (1, 3)
    assert desk.office.paces == [Pace.STOPPED, Pace.PROBING, Pace.STOPPED]
    await elapse(2 * OPEN_SECONDS - LOOK_SECONDS)
    assert desk.office.paces[3:] == []
    await elapse(2 * LOOK_SECONDS)
    assert desk.office.paces[3:] == [Pace.PROBING]
    await desk.end()


async def test_fresh_parcels_are_probes_too_and_do_not_wait_for_long() -> None:
    desk = await opened()
    await elapse(RESTED)
    desk.office.hangs = True
    desk.offer(*items(3, first=6))
    await elapse(STALLED + LOOK_SECONDS)
    assert desk.office.attempts == ["evt_6"]
    assert desk.office.spilled == ["evt_7", "evt_8"]
    await desk.end()


async def test_a_probe_that_never_reports_is_followed_by_another() -> None:
    desk = await opened()
    await elapse(RESTED)
    desk.office.hangs = True
    desk.offer(*items(2, first=6), kept=True)
    await settle()
    assert desk.office.attempts == ["evt_6"]
    await elapse(PROBE_SECONDS + 2 * TIMER_SLACK)
    assert desk.office.attempts == ["evt_6", "evt_7"]
    await desk.end()


async def test_deliveries_that_hang_from_before_do_not_keep_a_probe_from_being_tried() -> None:
    desk = Desk(a_target(concurrency=FAILURES + 2))
    desk.office.hangs = True
    desk.offer(*items(FAILURES + 1))
    await settle()
    desk.office.otherwise = FAILED
    desk.office.let_go(*[f"evt_{number}" for number in range(1, FAILURES + 1)])
    await elapse(RESTED)
    assert desk.office.in_flight == 1
    desk.offer(an_item("probe"), kept=True)
    await settle()
    assert desk.office.in_flight == 2
    await desk.end()


async def test_a_target_that_is_enabled_begins_with_a_clean_sheet() -> None:
    desk = await opened()
    target = desk.outbox.target
    desk.outbox.adopt(target, disabled=True)
    desk.office.otherwise = DELIVERED
    desk.outbox.adopt(target, disabled=False)
    assert desk.outbox.breaker.state is BreakerState.CLOSED
    await desk.offer(*items(10, first=6)).settled()
    assert len(desk.office.delivered) == 10
    await desk.end()


async def test_news_of_a_target_while_its_breaker_is_open_change_nothing_there() -> None:
    desk = await opened()
    desk.outbox.adopt(desk.outbox.target, disabled=False)
    await desk.offer(an_item(6)).settled()
    assert desk.office.spilled == ["evt_6"]
    await desk.end()


# -- the rate --------------------------------------------------------------------------------------------------------


async def test_a_rate_is_never_exceeded_and_used_in_full() -> None:
    desk = Desk(a_target(rate=4.0, concurrency=3))
    desk.office.hangs = True
    receipt = desk.offer(*items(20), kept=True)
    times = []
    for _ in range(20):
        await settle()
        while not desk.office.hanging:
            await elapse(0.01)
        times.append(manual_clock().monotonic())
        desk.office.let_go()
    await receipt.settled()
    assert times == [pytest.approx(n / 4.0, abs=0.02) for n in range(20)]
    await desk.end()


async def test_slow_deliveries_run_beside_each_other_at_their_rate() -> None:
    desk = Desk(a_target(rate=2.0, concurrency=8))
    desk.office.hangs = True
    desk.offer(*items(6), kept=True)
    await elapse(2.6)
    assert desk.office.in_flight == 6
    await desk.end()


async def test_a_high_rate_is_reached_and_not_exceeded() -> None:
    desk = Desk(a_target(rate=5000.0, concurrency=64))
    desk.offer(*items(2000), kept=True)
    await elapse(0.1)
    assert 450 <= len(desk.office.attempts) <= 551
    await desk.end()


async def test_turns_and_parcels_share_one_rate() -> None:
    desk = Desk(a_target(rate=1.0, concurrency=8))
    turns = [asyncio.create_task(desk.outbox.send(item)) for item in items(2)]
    desk.offer(*items(2, first=3), kept=True)
    for count in range(1, 5):
        await settle()
        assert len(desk.office.attempts) == count
        await elapse(1.01)
    await asyncio.gather(*turns)
    await desk.end()


async def test_more_than_its_rate_makes_a_target_fall_behind_like_a_slow_one() -> None:
    desk = Desk(a_target(rate=1.0))
    desk.offer(*items(5))
    await elapse(STALLED + LOOK_SECONDS)
    assert desk.office.attempts == ["evt_1"]
    assert desk.office.spilled == ["evt_2", "evt_3", "evt_4", "evt_5"]
    await desk.end()


async def test_a_changed_rate_counts_from_now_on() -> None:
    desk = Desk(a_target(rate=0.01))
    desk.offer(*items(3), kept=True)
    await settle()
    assert len(desk.office.attempts) == 1
    desk.outbox.adopt(msgspec.structs.replace(desk.outbox.target, rate=None), disabled=False)
    await settle()
    assert len(desk.office.attempts) == 3
    desk.outbox.adopt(msgspec.structs.replace(desk.outbox.target, rate=0.01), disabled=False)
    desk.offer(*items(2, first=4), kept=True)
    await elapse(1.0)
    assert len(desk.office.attempts) == 4
    await desk.end()


async def test_a_paused_target_costs_nothing_but_a_timer() -> None:
    desk = Desk(a_target(rate=0.01, concurrency=8))
    desk.offer(*items(8), kept=True)
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await desk.end()


# -- turns of ordered lanes ------------------------------------------------------------------------------------------


async def test_a_turn_is_told_what_came_of_its_one_attempt() -> None:
    desk = Desk(a_target())
    desk.office.outcomes["evt_1"] = FAILED
    assert await desk.outbox.send(an_item(1)) is FAILED
    assert await desk.outbox.send(an_item(2)) is DELIVERED
    assert desk.office.concluded == []
    await desk.end()


async def test_turns_wait_while_the_breaker_is_open_and_go_on_when_a_probe_succeeds() -> None:
    desk = await opened()
    turns = [asyncio.create_task(desk.outbox.send(item)) for item in items(3, first=6)]
    await elapse(OPEN_SECONDS - LOOK_SECONDS)
    assert desk.office.attempts == []
    assert desk.outbox.waiting == 3
    desk.office.otherwise = DELIVERED
    await elapse(2 * LOOK_SECONDS)
    assert await asyncio.gather(*turns) == [DELIVERED] * 3
    assert desk.office.paces[-1] is Pace.FULL
    await desk.end()


async def test_a_turn_that_is_the_probe_and_fails_leaves_the_others_waiting() -> None:
    desk = await opened()
    turns = [asyncio.create_task(desk.outbox.send(item)) for item in items(3, first=6)]
    await elapse(RESTED)
    assert desk.office.attempts == ["evt_6"]
    assert await turns[0] is FAILED
    assert desk.outbox.waiting == 2
    desk.office.otherwise = DELIVERED
    await elapse(2 * RESTED)
    assert await asyncio.gather(*turns[1:]) == [DELIVERED] * 2
    await desk.end()


async def test_turns_are_given_back_when_the_target_is_disabled_with_its_breaker_open() -> None:
    desk = await opened()
    turn: asyncio.Task[Outcome | None] = asyncio.create_task(desk.outbox.send(an_item(6)))
    await settle()
    desk.outbox.adopt(desk.outbox.target, disabled=True)
    assert await turn is None
    await elapse(10 * OPEN_SECONDS)
    assert desk.office.paces == [Pace.STOPPED]
    await desk.end()
