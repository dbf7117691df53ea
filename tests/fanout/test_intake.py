"""Records are opened in the order they came while there is a use for them, and the lane is paused in between."""

import asyncio

from tests.fanout.manual_loop import ManualLoop, settle
from voxgate_fanout.intake import EVENT_RECORDS, Intake
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
        return asyncio.create_task(self._open(number, parcels))

    async def _open(self, number: int, parcels: int) -> None:
        if await self.intake.may_open():
            self.opened.append(number)
            self.intake.load.queued(self.waiting, self.waiting + parcels)
            self.waiting += parcels
            self.intake.opened()
        else:
            self.turned_away.append(number)


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


async def test_who_is_cancelled_when_it_is_his_turn_passes_it_on() -> None:
    hall = Hall()
    hall.fill()
    gone, other = hall.come(1), hall.come(2)
    await settle()
    hall.empty()
    gone.cancel()
    await other
    assert hall.opened == [2]


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
    assert (hall.opened, hall.turned_away) == ([], [0, 1, 2, 3])
    assert hall.worker.slots[-1] == 0


async def test_it_may_be_closed_before_it_has_a_worker() -> None:
    intake = Intake()
    intake.close()
    assert not await intake.may_open()
    worker = Slots()
    intake.feed(worker)
    assert worker.slots == [0]
