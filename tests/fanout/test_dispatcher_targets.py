"""Targets that hang, fail, are disabled, changed and removed: they hold up nobody, and lose nothing they should have."""

import asyncio

import pytest

from tests.fanout.bench import FAILED, GONE, Bench, an_item, items
from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle
from voxgate_core import DeadQuery
from voxgate_fanout.breaker import FAILURES, OPEN_SECONDS, BreakerState
from voxgate_fanout.lanes import EVENTS, lane_of
from voxgate_fanout.outbox import MAX_BEHIND_SECONDS, STALLED, SUSPECT
from voxgate_fanout.outcome import Outcome, OutcomeKind
from voxgate_fanout.records import MAX_ITEMS, encode_record
from voxgate_fanout.signing import SignatureError, verify
from voxgate_fanout.spillway import LINGER
from voxgate_fanout.watch import LOOK_SECONDS

new_loop = ManualLoop


async def test_a_hung_target_never_delays_the_healthy_ones() -> None:
    bench = Bench()
    hung = await bench.add("hung")
    healthy = [await bench.add(f"well{n}") for n in range(5)]
    await bench.begin()
    bench.sender.hang(hung.url)
    for number in range(100):
        # settle() lets no time pass: whatever is delivered then waited for nobody.
        await bench.put(an_item(number, hung, *healthy))
        for target in healthy:
            assert bench.sender.ids(target.url)[-1] == f"evt_{number}"
            assert bench.dispatcher.waiting(target.id) == 0
        await elapse(LOOK_SECONDS)
    assert bench.sender.in_flight[hung.url] == hung.concurrency
    assert bench.dispatcher.waiting(hung.id) < 100
    assert bench.stats.spilled >= 90 - hung.concurrency
    bench.sender.release(hung.url)
    await elapse(2 * MAX_BEHIND_SECONDS)
    assert set(bench.sender.ids(hung.url)) == {f"evt_{n}" for n in range(100)}
    assert bench.queue.store.jobs == {}
    await bench.end()


async def test_a_target_that_hangs_in_the_middle_of_a_burst_delays_the_others_for_a_moment_at_most() -> None:
    bench = Bench()
    hung, well = await bench.add("hung"), await bench.add("well")
    bench.sender.hang(hung.url)
    for number in range(100):
        await bench.queue.put(EVENTS, encode_record(items(20, hung, well, first=20 * number)))
    await bench.begin()
    await elapse(SUSPECT + LOOK_SECONDS)
    for _ in range(12):  # each time it has to be seen anew that it hangs, as more waits than a burst may bring
        await elapse(SUSPECT)
    assert len(bench.sender.ids(well.url)) == 2000
    await elapse(2000 / MAX_ITEMS * LINGER)
    assert bench.stats.spilled >= 1900
    bench.sender.release(hung.url)
    await elapse(2 * MAX_BEHIND_SECONDS)
    assert bench.queue.store.jobs == {}
    await bench.end()


async def test_many_hung_targets_never_delay_a_healthy_one() -> None:
    bench = Bench()
    hung = [await bench.add(f"hung{n}") for n in range(20)]
    well = await bench.add("well")
    await bench.begin()
    for target in hung:
        bench.sender.hang(target.url)
    for number in range(40):
        await bench.put(an_item(number, *hung, well))
        assert bench.sender.ids(well.url)[-1] == f"evt_{number}"
        await elapse(LOOK_SECONDS)
    for target in hung:
        bench.sender.release(target.url)
    await elapse(2 * MAX_BEHIND_SECONDS)
    assert len(bench.sender.delivered) == 40 * 21
    await bench.end()


async def test_a_failing_target_opens_its_breaker_and_is_spilled_until_a_probe_succeeds() -> None:
    bench = Bench()
    down, well = await bench.add("down", concurrency=1), await bench.add("well")
    await bench.begin()
    bench.sender.fail(down.url)
    await bench.put(*items(20, down, well))
    assert bench.dispatcher.breaker(down.id) is BreakerState.OPEN
    assert len(bench.sender.ids(down.url)) == FAILURES
    assert bench.stats.spilled == 20 - FAILURES
    assert len(bench.sender.ids(well.url)) == 20
    assert bench.queue.workers[lane_of(down.id)].slots == 0
    await bench.put(an_item(21, down))
    assert len(bench.sender.ids(down.url)) == FAILURES
    bench.sender.heal(down.url)
    await elapse(OPEN_SECONDS - 1.0)
    assert len(bench.sender.ids(down.url)) == FAILURES
    await elapse(2.0)
    assert bench.dispatcher.breaker(down.id) is BreakerState.CLOSED
    assert bench.queue.workers[lane_of(down.id)].slots == 4
    await elapse(10.0)
    assert {event for _, event in bench.sender.delivered} >= {f"evt_{n}" for n in range(1, 22)}
    assert bench.queue.store.jobs == {}
    await bench.end()


async def test_a_dead_target_is_probed_more_and_more_rarely_and_costs_one_attempt_each_time() -> None:
    bench = Bench()
    down = await bench.add("down", concurrency=1)
    await bench.begin()
    bench.sender.fail(down.url)
    await bench.put(*items(50, down))
    sent = len(bench.sender.sent)
    for rest in (5.0, 10.0, 20.0, 40.0, 80.0, 160.0):
        await elapse(rest - 0.5)
        assert len(bench.sender.sent) == sent
        await elapse(0.6)
        sent += 1
        assert len(bench.sender.sent) == sent
    assert len(bench.queue.store.of(lane_of(down.id))) >= 1
    await bench.end()


async def test_retry_after_is_carried_to_the_lane() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    bench.sender.next["evt_1"].append(Outcome(OutcomeKind.RETRY, 429, "HTTP 429", 900.0, 0.1))
    await bench.put(an_item(1, target))
    (put,) = [at for lane, _, at in bench.queue.puts if lane == lane_of(target.id)]
    assert put == bench.clock.now() + 900.0
    await elapse(899.0)
    assert len(bench.sender.sent) == 1
    await elapse(2.0)
    assert len(bench.sender.sent) == 2
    await bench.end()


# -- disabled, enabled, changed, removed -----------------------------------------------------------------------------


async def test_what_is_on_its_way_to_a_target_that_is_disabled_waits_until_it_is_enabled() -> None:
    bench = Bench()
    target = await bench.add(concurrency=1)
    await bench.begin()
    bench.sender.hang("evt_1")
    await bench.put(*items(5, target))
    await bench.registry.disable(target.id, "an operator did")
    await settle()
    bench.sender.release("evt_1")
    await bench.put(an_item(6, target))
    assert bench.sender.delivered == [(target.url, "evt_1")]
    assert bench.queue.workers[lane_of(target.id)].slots == 0
    await elapse(3600.0)
    assert len(bench.sender.sent) == 1
    await bench.registry.enable(target.id)
    await settle()
    assert sorted(bench.sender.delivered) == [(target.url, f"evt_{n}") for n in range(1, 7)]
    assert bench.queue.store.jobs == {}
    await bench.end()


async def test_a_target_that_is_disabled_from_the_beginning_is_not_sent_to() -> None:
    before = Bench()
    target = await before.add()
    await before.registry.disable(target.id, "why")
    bench = Bench(store=before.queue.store, kept=before.kept)
    await bench.begin()
    await bench.put(*items(3, target))
    assert bench.sender.sent == []
    assert bench.stats.spilled == 3
    assert bench.queue.workers[lane_of(target.id)].slots == 0
    await bench.end()


async def test_a_target_that_is_gone_is_disabled_and_gives_one_notice() -> None:
    bench = Bench()
    target = await bench.add(concurrency=8)
    await bench.begin()
    bench.sender.always[target.url] = GONE
    await bench.put(*items(20, target))
    assert bench.registry.state(target.id).disabled == "it answered 410 Gone"
    assert [notice.data["targetId"] for notice in bench.notices] == [target.id]
    letters = await bench.queue.dead(DeadQuery())
    sent = bench.sender.ids(target.url)
    assert [letter.id for letter in letters] == sent
    assert {letter.attempts for letter in letters} == {1}
    assert bench.stats.spilled == 20 - len(sent)
    await bench.end()


async def test_a_changed_target_is_used_for_everything_that_is_sent_from_then_on() -> None:
    bench = Bench()
    target = await bench.add(concurrency=1)
    await bench.begin()
    bench.sender.hang("evt_1")
    await bench.put(*items(2, target))
    _, secret = await bench.registry.rotate_secret("crm")
    bench.sender.release("evt_1")
    await settle()
    before, after = bench.sender.sent
    with pytest.raises(SignatureError):
        verify(before.headers, before.body, [secret], bench.clock.now())
    for known in (secret, target.secrets[0].value):
        assert verify(after.headers, after.body, [known], bench.clock.now()) == "evt_2"
    await bench.end()


@pytest.mark.parametrize("outcome", [None, FAILED])
async def test_a_target_that_is_removed_in_the_middle_of_things_takes_everything_with_it(
    outcome: Outcome | None,
) -> None:
    bench = Bench()
    target, well = await bench.add("gone", concurrency=1), await bench.add("well")
    await bench.begin()
    bench.sender.hang("evt_1")
    bench.sender.hang(well.url)
    if outcome is not None:
        bench.sender.always[target.url] = outcome
    await bench.put(*items(5, target, well))
    await elapse(STALLED + LOOK_SECONDS)
    assert lane_of(target.id) in bench.queue.workers
    removed = await bench.registry.remove("gone")
    await bench.dispatcher.close_lanes(removed)
    bench.sender.release(well.url)
    bench.sender.release("evt_1")
    await elapse(60.0)
    assert bench.sender.ids(target.url) == ["evt_1"]
    assert sorted(set(bench.sender.ids(well.url))) == [f"evt_{n}" for n in range(1, 6)]
    assert lane_of(target.id) not in bench.queue.store.opened
    assert lane_of(target.id) not in bench.queue.workers
    assert bench.queue.store.jobs == {}
    assert bench.queue.store.letters == {}
    await bench.put(an_item(6, target))
    assert bench.queue.store.jobs == {}
    await bench.end()


async def test_targets_that_come_and_go_leave_nothing_in_memory() -> None:
    bench = Bench()
    await bench.begin()
    for number in range(20):
        target = await bench.add(f"t{number}", rate=50.0)
        bench.sender.next[f"evt_{number}"].append(FAILED)
        await bench.put(*items(3, target, first=number))
        await elapse(STALLED + LOOK_SECONDS)
        removed = await bench.registry.remove(f"t{number}")
        await bench.dispatcher.close_lanes(removed)
        await elapse(2.0)
    dispatcher = bench.dispatcher
    assert dispatcher._outboxes == {}
    assert len(dispatcher._retired) <= 1
    assert dispatcher._postman._keys == {}
    assert (dispatcher._lanes._workers, dispatcher._lanes._opening, dispatcher._lanes._stopping) == ({}, {}, {})
    assert len(dispatcher._leases) == 0
    assert set(bench.queue.store.opened) == {"events"}
    await bench.end()


async def test_a_removed_target_in_flight_is_waited_for_at_the_end() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    bench.sender.hang("evt_1")
    await bench.put(an_item(1, target))
    await bench.registry.remove("crm")
    ending = asyncio.create_task(bench.dispatcher.end(8.0))
    await elapse(3.0)
    assert not ending.done()
    bench.sender.release("evt_1")
    await ending
    assert manual_clock().monotonic() == 3.0
    await bench.end()


async def test_what_is_known_of_a_target_that_never_had_an_event() -> None:
    bench = Bench()
    target = await bench.add()
    await bench.begin()
    assert bench.dispatcher.breaker(target.id) is BreakerState.CLOSED
    assert bench.dispatcher.waiting(target.id) == 0
    bench.sender.hang(target.url)
    await bench.put(an_item(1, target))
    assert bench.dispatcher.waiting(target.id) == 1
    bench.sender.release(target.url)
    await bench.end()
