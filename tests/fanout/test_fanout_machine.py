"""Whatever happens, in whatever order: an accepted event is delivered at least once, or is a dead letter; none is lost.

Each process of the machine lives on a loop of its own, so that a crash leaves nothing of it but the queue and the store.
"""

import asyncio
from collections import defaultdict
from contextlib import AbstractAsyncContextManager

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fanout.bench import FAILED, GONE, a_target, an_event
from tests.fanout.fake_queue import FakeQueue, FakeSender, Store
from tests.fanout.manual_loop import ManualLoop, elapse, settle, timers_left
from voxgate_core import DeadQuery, ManualClock, MemoryKeyValue, VoxgateError
from voxgate_fanout.outcome import Outcome, OutcomeKind
from voxgate_fanout.service import END_SECONDS, FLUSH_SECONDS, Fanout
from voxgate_fanout.targets import Target

DAY = 86_400.0
BUSY = Outcome(OutcomeKind.RETRY, 429, "HTTP 429", 60.0, 0.01)
BROKEN = ("put", "bury", "open_lane", "work", "lanes", "backlog", "ack", "extend", "hand_back", "bytes_stored")


class FanoutMachine(RuleBasedStateMachine):
    """One process at a time over one queue, with targets that do as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.store = Store(self.clock)
        self.kept = MemoryKeyValue(self.clock)
        self.sender = FakeSender()
        self.targets: dict[str, Target] = {}
        self.accepted: dict[tuple[str, str], str] = {}  # (target id, event id) to the key of its order, in order
        self.count = 0
        self.broken: frozenset[str] = frozenset()

    # -- processes -------------------------------------------------------------------------------------------------

    @initialize()
    def the_first_process_begins_and_targets_are_added(self) -> None:
        self._begin()
        for target in (
            a_target("plain", concurrency=2),
            a_target("slow", concurrency=1, rate=2.0),
            a_target("ordered", concurrency=3, order_by="subject"),
        ):
            self.runner.run(self.fanout.registry.add(target))
            self.targets[target.name] = target

    def _begin(self) -> None:
        self.runner = asyncio.Runner(loop_factory=lambda: ManualLoop(self.clock))
        self.runner.run(self._start())

    async def _start(self) -> None:
        self.queue = FakeQueue(self.clock, self.store)
        self.fanout = Fanout(self.queue, self.kept, self.sender, prod=False, clock=self.clock)
        self.context: AbstractAsyncContextManager[None] = self.fanout.running()
        await self.context.__aenter__()
        await settle()
        self.queue.refuses = lambda method, lane: method in self.broken

    async def _stop(self) -> None:
        leaving = asyncio.ensure_future(self.context.__aexit__(None, None, None))
        await elapse(END_SECONDS + 2 * FLUSH_SECONDS + 5.0)
        await leaving
        assert not await timers_left()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    @rule()
    def the_process_is_killed_and_another_begins(self) -> None:
        self._kill()
        self._begin()

    def _kill(self) -> None:
        self.queue.crash()
        self.queue.unavailable = True
        self.runner.run(self._die())
        # Not the runner's close: that would have the process stop in good order.
        self.runner.get_loop().close()

    async def _die(self) -> None:
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others)

    @rule()
    def the_process_is_stopped_and_another_begins(self) -> None:
        self.runner.run(self._stop())
        self._kill()
        self._begin()

    # -- events ----------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 4), subject=st.sampled_from("ab"))
    def some_events_come(self, count: int, subject: str) -> None:
        self.runner.run(self._accept(count, subject))

    @rule(count=st.sampled_from([20, 120]), seconds=st.sampled_from([0.0, 0.4]))
    def many_events_come(self, count: int, seconds: float) -> None:
        self.runner.run(self._accept(count, "a"))
        self.runner.run(elapse(seconds))

    async def _accept(self, count: int, subject: str) -> None:
        events = [an_event(self.count + n, subject=subject) for n in range(count)]
        self.count += count
        wanted = dict(self.targets)
        results = await asyncio.gather(*(self.fanout.accept(event) for event in events), return_exceptions=True)
        await settle()
        for event, result in zip(events, results, strict=True):
            if isinstance(result, BaseException):
                assert isinstance(result, VoxgateError)
                continue
            for name in result.targets:
                self.accepted[wanted[name].id, event.id] = subject

    @rule(seconds=st.sampled_from([0.0, 0.06, 0.3, 1.0, 5.0, 31.0, 120.0]))
    def time_passes(self, seconds: float) -> None:
        self.runner.run(elapse(seconds))

    @rule()
    def the_loop_is_kept_busy_by_somebody_else(self) -> None:
        self.clock.advance(0.3)

    @rule()
    def the_wall_clock_is_a_day_ahead_by_now(self) -> None:
        self.clock.set_now(self.clock.now() + DAY)
        self.runner.run(self._pump())

    async def _pump(self) -> None:
        self.queue.pump()
        await settle()

    # -- the store -------------------------------------------------------------------------------------------------

    @rule(broken=st.frozensets(st.sampled_from(BROKEN), max_size=4))
    def the_store_fails_in_parts(self, broken: frozenset[str]) -> None:
        if not self.broken:
            self.broken = broken

    @rule()
    def the_store_works_again(self) -> None:
        self.broken = frozenset()

    # -- targets ---------------------------------------------------------------------------------------------------

    names = st.sampled_from(["plain", "slow", "ordered"])

    @rule(name=names, trouble=st.sampled_from(["fails", "is busy", "hangs", "is disabled"]))
    def a_target_is_in_trouble(self, name: str, trouble: str) -> None:
        target = self.targets[name]
        if trouble == "hangs":
            self.sender.hang(target.url)
        elif trouble == "is disabled":
            self.runner.run(self.fanout.registry.disable(target.id, "an operator did"))
        else:
            self.sender.always[target.url] = FAILED if trouble == "fails" else BUSY

    @rule(name=names)
    def a_target_is_well_again(self, name: str) -> None:
        self.runner.run(self._heal(self.targets[name]))

    async def _heal(self, target: Target) -> None:
        self.sender.heal(target.url)
        if self.sender.hangs(target.url):
            self.sender.release(target.url)
        await self.fanout.registry.enable(target.id)
        await settle()

    @rule(name=names, outcomes=st.lists(st.sampled_from([FAILED, BUSY, GONE, ZeroDivisionError()]), max_size=8))
    def some_deliveries_go_wrong(self, name: str, outcomes: list[Outcome | Exception]) -> None:
        self.sender.next[self.targets[name].url].extend(outcomes)

    @rule(name=st.sampled_from(["plain", "ordered"]))
    def a_target_is_removed_and_another_takes_its_name(self, name: str) -> None:
        self.runner.run(self._replace(name))

    async def _replace(self, name: str) -> None:
        removed = await self.fanout.remove(name)
        target = a_target(name, concurrency=removed.concurrency, order_by=removed.order_by)
        target = msgspec.structs.replace(target, url=f"https://{target.id}.example/hook")
        self.sender.release()  # every attempt ends some time
        await self.fanout.registry.add(target)
        self.targets[name] = target
        self.accepted = {key: subject for key, subject in self.accepted.items() if key[0] != removed.id}

    # -- what must hold --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.targets)
    @invariant()
    def no_target_gets_more_at_once_than_it_takes(self) -> None:
        for target in self.targets.values():
            assert self.sender.peak[target.url] <= target.concurrency

    @invariant()
    def no_handler_ever_fails(self) -> None:
        if self.targets:
            assert self.queue.failures == []

    def teardown(self) -> None:
        if len(self.targets) < 3:
            return
        try:
            self.runner.run(self._check())
        finally:
            self._kill()

    async def _check(self) -> None:
        """Everything is well again; what was accepted gets where it should, and nothing is left over."""
        self.broken = frozenset()
        self.sender.next.clear()
        self.sender.release()
        for target in self.targets.values():
            await self._heal(target)
        for _ in range(12):
            await elapse(310.0)
            if not self.store.jobs:
                break
            self.clock.set_now(self.clock.now() + DAY)
            self.queue.pump()
            await settle()
        assert self.store.jobs == {}, "something is still on its way"
        await self._stop()

        letters = await self.queue.dead(DeadQuery(limit=1_000_000))
        dead = {(letter.lane, letter.id) for letter in letters}
        urls = {target.url: target.id for target in self.targets.values()}
        first: dict[tuple[str, str], None] = {}
        for url, event_id in self.sender.delivered:
            if url in urls:
                first.setdefault((urls[url], event_id))
        lost = [key for key in self.accepted if key not in dead and key not in first]
        assert lost == [], "accepted, and neither delivered nor a dead letter"

        ordered = self.targets["ordered"].id
        places: defaultdict[str, list[str]] = defaultdict(list)
        for target_id, event_id in first:
            if target_id == ordered and (target_id, event_id) in self.accepted:
                places[self.accepted[target_id, event_id]].append(event_id)
        for subject, delivered in places.items():
            expected = [
                event_id
                for (target_id, event_id), key in self.accepted.items()
                if target_id == ordered and key == subject and (target_id, event_id) in first
            ]
            assert delivered == expected, "the order was not kept"


FanoutMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_no_accepted_event_is_ever_lost = FanoutMachine.TestCase
