"""Records are opened in the order they came while there is a use for them, and the lane is paused in between."""

import asyncio

import pytest

from tests.fanout.manual_loop import ManualLoop, settle
from voxgate_fanout.intake import EVENT_RECORDS, Intake, IntakeClosed
from voxgate_fanout.load import MAX_BYTES, PER_TARGET

new_loop = ManualLoop


class Slots:
    """A lane worker that notes how many jobs it may take."""

    def __init__(self) -> None:
        self.slots: list[int] = []

    @property
    def in_hand(self) -> int:
        return 0

    def set_slots(self, slots: int) -> None:
        self.slots.append(slots)

    async def stop(self, seconds: float = 0.0) -> None: ...


class Hall:
    """Records that wait for their turn; each is one parcel for one target once it is opened."""

    def __init__(self) -> None:
        self.intake = Intake()
        self.worker = Slots()
        self.intake.feed(self.worker)
        self.opened: list[int] = []
        self.turned_away: list[int] = []
        self.waiting = 0

    def fill(self) -> None:
        self.intake.load.queued(self.waiting, PER_TARGET)
        self.waiting = PER_TARGET

    def empty(self, left: int = 0) -> None:
        self.intake.load.queued(self.waiting, left)
        self.waiting = left

    def come(self, number: int, parcels: int = 1) -> "asyncio.Task[None]":
        return asyncio.create_task(self._come(number, parcels))

    async def _come(self, number: int, parcels: int) -> None:
        try:
            assert await self.intake.let_in(lambda: self._open(number, parcels)) == number
        except IntakeClosed:
            self.turned_away.append(number)

    def _open(self, number: int, parcels: int) -> int:
        self.opened.append(number)
        self.intake.load.queued(self.waiting, self.waiting + parcels)
        self.waiting += parcels
        return number


async def test_with_room_records_are_opened_at_once() -> None:
    hall = Hall()
    await asyncio.gather(*(hall.come(number) for number in range(3)))
    assert hall.opened == [0, 1, 2]
    assert hall.worker.slots == [EVENT_RECORDS]


async def test_without_room_they_wait_and_are_opened_in_their_order() -> None:
    hall = Hall()
    hall.fill()
    coming = [hall.come(number) for number in range(5)]
    await settle()
    assert hall.opened == []
    assert hall.worker.slots[-1] == 0
    hall.empty()
    await asyncio.gather(*coming)
    assert hall.opened == [0, 1, 2, 3, 4]
    assert hall.worker.slots[-1] == EVENT_RECORDS


async def test_no_more_are_opened_than_fill_the_room_again() -> None:
    hall = Hall()
    hall.fill()
    coming = [hall.come(number, PER_TARGET // 2) for number in range(5)]
    await settle()
    hall.empty()
    await settle()
    assert hall.opened == [0, 1]
    hall.empty()
    await settle()
    assert hall.opened == [0, 1, 2, 3]
    hall.empty()
    await asyncio.gather(*coming)


async def test_nobody_overtakes_those_who_wait() -> None:
    hall = Hall()
    hall.fill()
    first = hall.come(1)
    await settle()
    hall.empty()
    second = hall.come(2)  # there is room, but whose it is has been decided
    await asyncio.gather(first, second)
    assert hall.opened == [1, 2]


async def test_who_is_cancelled_in_the_line_leaves_it() -> None:
    hall = Hall()
    hall.fill()
    gone, other = hall.come(1), hall.come(2)
    await settle()
    gone.cancel()
    await settle()
    hall.empty()
    await other
    assert hall.opened == [2]


async def test_who_is_cancelled_when_it_is_his_turn_leaves_it_to_the_next() -> None:
    hall = Hall()
    hall.fill()
    gone, other = hall.come(1), hall.come(2)
    await settle()
    hall.empty()
    gone.cancel()
    await other
    assert hall.opened == [2]


async def test_many_are_opened_in_one_turn_of_the_loop() -> None:
    hall = Hall()
    hall.fill()
    coming = [hall.come(number) for number in range(50)]
    await settle()
    hall.empty()
    await asyncio.sleep(0)  # one turn
    assert hall.opened == list(range(50))
    await asyncio.gather(*coming)


async def test_what_opening_raises_is_told_to_whose_record_it_is_and_holds_up_no_other() -> None:
    hall = Hall()
    hall.fill()

    def fail() -> None:
        raise ZeroDivisionError

    failing, other = asyncio.create_task(hall.intake.let_in(fail)), hall.come(2)
    await settle()
    hall.empty()
    await other
    with pytest.raises(ZeroDivisionError):
        await failing
    with pytest.raises(ZeroDivisionError):
        await hall.intake.let_in(fail)


async def test_bytes_in_hand_pause_the_lane_and_never_what_is_in_hand() -> None:
    hall = Hall()
    hall.intake.load.took(MAX_BYTES)
    assert hall.worker.slots[-1] == 0
    await hall.come(1)
    assert hall.opened == [1]
    hall.intake.load.took(-MAX_BYTES)
    assert hall.worker.slots[-1] == EVENT_RECORDS


async def test_once_closed_everybody_is_turned_away_and_the_lane_stays_paused() -> None:
    hall = Hall()
    hall.fill()
    coming = [hall.come(number) for number in range(3)]
    await settle()
    hall.intake.close()
    await asyncio.gather(*coming, hall.come(3))
    hall.empty()
    assert (hall.opened, sorted(hall.turned_away)) == ([], [0, 1, 2, 3])
    assert hall.worker.slots[-1] == 0


async def test_it_may_be_closed_before_it_has_a_worker() -> None:
    intake = Intake()
    intake.close()
    with pytest.raises(IntakeClosed):
        await intake.let_in(lambda: None)
    worker = Slots()
    intake.feed(worker)
    assert worker.slots == [0]
