"""The watch looks while something waits, excuses what a starved loop did, and leaves no timer behind."""

import pytest

from tests.fanout.manual_loop import ManualLoop, elapse, manual_clock, settle, timers_left
from voxgate_fanout.watch import LATE, LOOK_SECONDS, MAX_LATE, Watch

new_loop = ManualLoop


class Seen:
    """Notes each look; it is done after ``most``."""

    def __init__(self, most: int = 1000) -> None:
        self.looks: list[tuple[float, float]] = []
        self._most = most

    def look(self, now: float, since: float) -> bool:
        self.looks.append((now, since))
        return len(self.looks) < self._most


async def starve(seconds: float) -> None:
    """Something keeps the loop busy for so long: no timer gets its turn."""
    manual_clock().advance(seconds)
    await settle()


async def test_it_looks_again_and_again_until_it_is_told_to_stop() -> None:
    watch, seen = Watch(), Seen(3)
    watch.add(seen)
    await elapse(1.0)
    assert [now for now, _ in seen.looks] == [pytest.approx(LOOK_SECONDS * n) for n in (1, 2, 3)]


async def test_nothing_is_timed_while_nothing_is_watched() -> None:
    watch, seen = Watch(), Seen(1)
    watch.add(seen)
    assert await timers_left()
    await elapse(LOOK_SECONDS)
    assert not await timers_left()


async def test_one_timer_does_for_all_and_each_is_looked_at_once_a_time() -> None:
    watch, first, second = Watch(), Seen(), Seen(2)
    for _ in range(3):
        watch.add(first)
        watch.add(second)
    await elapse(3 * LOOK_SECONDS)
    assert (len(first.looks), len(second.looks)) == (3, 2)
    watch.close()


async def test_after_it_was_closed_it_looks_no_more() -> None:
    watch, seen = Watch(), Seen()
    watch.add(seen)
    watch.close()
    assert not await timers_left()
    assert seen.looks == []


async def test_who_is_added_by_a_look_is_looked_at_next_time() -> None:
    watch, late = Watch(), Seen(1)

    class Adding(Seen):
        def look(self, now: float, since: float) -> bool:
            watch.add(late)
            return super().look(now, since)

    watch.add(Adding(1))
    await elapse(LOOK_SECONDS)
    assert late.looks == []
    await elapse(LOOK_SECONDS)
    assert len(late.looks) == 1


async def test_a_look_in_time_measures_from_the_beginning() -> None:
    watch, seen = Watch(), Seen(2)
    watch.add(seen)
    await starve(LOOK_SECONDS + LATE / 2)
    await elapse(LOOK_SECONDS)
    assert [since for _, since in seen.looks] == [float("-inf")] * 2


async def test_a_late_look_measures_anew_from_now_on() -> None:
    watch, seen = Watch(), Seen()
    watch.add(seen)
    await starve(0.3)
    assert seen.looks == [(0.3, 0.3)]
    await elapse(3 * LOOK_SECONDS)
    assert [since for _, since in seen.looks] == [0.3] * 4
    watch.close()


async def test_a_loop_that_is_always_late_is_excused_only_so_often() -> None:
    watch, seen = Watch(), Seen()
    watch.add(seen)
    for _ in range(MAX_LATE + 10):
        await starve(0.3)
    excused = [now for now, since in seen.looks if now == since]
    assert len(excused) == MAX_LATE
    assert {since for _, since in seen.looks[MAX_LATE:]} == {excused[-1]}
    await elapse(LOOK_SECONDS)  # one in time
    await starve(0.3)
    assert seen.looks[-1][0] == seen.looks[-1][1]
    watch.close()
