"""The recorder: it never waits, it never grows past its bounds, and it counts what it had to drop."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from tests.gateway.store.heard import Heard, grant_of
from voxgate_core import Event, EventSink, SessionObserver, VoxgateError
from voxgate_gateway.store.modes import StoreMode
from voxgate_gateway.store.recorder import AT_ONCE, LONGEST_PAUSE, REPORT_EVERY, RETRY_SECONDS, Recorder
from voxgate_gateway.store.rows import Waiting


class Store:
    """Takes batches, and fails as it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[Waiting]] = []
        self.faults: list[Exception] = []
        self.poison: set[str] = set()
        self.open = asyncio.Event()
        self.open.set()
        self.tried = asyncio.Event()

    async def write(self, batch: Sequence[Waiting]) -> None:
        self.tried.set()
        await self.open.wait()
        if self.faults:
            raise self.faults.pop(0)
        if any(waiting.event.id in self.poison for waiting in batch):
            raise VoxgateError("invalid_input")
        self.batches.append(list(batch))

    @property
    def ids(self) -> list[str]:
        return [waiting.event.id for batch in self.batches for waiting in batch]


class Pauses:
    """Lets no time pass, and remembers how much should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def recorder_of(store: Store, mode: StoreMode = StoreMode.FULL, **bounds: int) -> Recorder:
    recorder = Recorder(store.write, mode, pause=Pauses(), **bounds)
    recorder.opened(grant_of("s-1"))
    return recorder


def publish(recorder: Recorder, events: Sequence[Event]) -> None:
    for event in events:
        recorder.publish(event)


async def test_it_is_a_sink_and_an_observer() -> None:
    recorder = recorder_of(Store())
    sink: EventSink = recorder
    observer: SessionObserver = recorder
    assert (sink, observer) == (recorder, recorder)
    observer.refused(VoxgateError("quota_exceeded"))
    assert len(recorder) == 0


async def test_events_are_written_in_their_order_some_at_a_time() -> None:
    store = Store()
    recorder = recorder_of(store)
    events = [Heard().said(str(number)) for number in range(2 * AT_ONCE + 1)]
    publish(recorder, events)
    async with recorder.running():
        await recorder.flushed()
    assert store.ids == [event.id for event in events]
    assert [len(batch) for batch in store.batches] == [AT_ONCE, AT_ONCE, 1]
    assert recorder.summary() == {"mode": "full", "waiting": 0, "written": len(events), "dropped": 0}


async def test_events_that_come_apart_are_written_together() -> None:
    store = Store()
    recorder = recorder_of(store)
    heard = Heard()
    async with recorder.running():
        for _ in range(5):
            recorder.publish(heard.said("hello"))
            await asyncio.sleep(0)  # the writer could begin
        assert store.batches == []
        await recorder.flushed()
        assert [len(batch) for batch in store.batches] == [5]
        store.tried.clear()
        recorder.publish(heard.said("nobody flushes this"))
        await store.tried.wait()
        await recorder.flushed()
    assert recorder.written == 6


async def test_other_events_and_other_sessions_are_not_kept() -> None:
    store = Store()
    recorder = recorder_of(store)
    publish(recorder, [Heard().event("voxgate.target.disabled"), Heard("s-unknown").said("x")])
    publish(recorder, [Event("evt_1", "/voxgate", "voice.turn.completed", 1.0)])
    assert len(recorder) == 0
    assert recorder.dropped == 0


@pytest.mark.parametrize(
    ("deployment", "scope", "mode"),
    [("full", "store:redacted", "redacted"), ("redacted", "store:full", "redacted"), ("full", "store:off", None)],
)
async def test_each_event_is_kept_as_its_token_allows(deployment: str, scope: str, mode: str | None) -> None:
    store = Store()
    recorder = Recorder(store.write, StoreMode(deployment), pause=Pauses())
    recorder.opened(grant_of("s-1", "ada", scope))
    async with recorder.running():
        publish(recorder, Heard().whole("hello"))
        await recorder.flushed()
    modes = {waiting.mode.value for batch in store.batches for waiting in batch}
    assert modes == (set() if mode is None else {mode})


async def test_a_session_is_forgotten_at_its_last_end() -> None:
    store = Store()
    recorder = recorder_of(store)
    recorder.opened(grant_of("s-1", "ada", "store:metadata"))  # a second connection, which allows less
    heard = Heard()
    publish(recorder, [heard.said("a"), heard.ended(), heard.said("b"), heard.ended(), heard.said("c")])
    async with recorder.running():
        await recorder.flushed()
    (batch,) = store.batches
    assert [waiting.mode for waiting in batch] == [StoreMode.METADATA] * 4


async def test_what_is_too_much_is_dropped_counted_and_said_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    recorder = recorder_of(Store(), most=2)
    heard = Heard()
    publish(recorder, [heard.said("secret") for _ in range(2 + REPORT_EVERY + 1)])
    assert (len(recorder), recorder.dropped) == (2, REPORT_EVERY + 1)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "secret" not in caplog.text


async def test_long_texts_are_bounded_too() -> None:
    store = Store()
    recorder = recorder_of(store, most_text=101)
    heard = Heard()
    publish(recorder, [heard.said("x" * 60), heard.said("x" * 60), heard.called("x" * 40), heard.turned()])
    assert (len(recorder), recorder.dropped) == (3, 1)
    async with recorder.running():
        await recorder.flushed()
        recorder.publish(heard.said("x" * 100))  # room again
        await recorder.flushed()
    assert recorder.dropped == 1


async def test_a_store_that_is_away_is_tried_again_with_the_same_events() -> None:
    store, pauses = Store(), Pauses()
    recorder = Recorder(store.write, StoreMode.FULL, pause=pauses)
    recorder.opened(grant_of("s-1"))
    store.faults = [VoxgateError("unavailable") for _ in range(6)]
    events = Heard().whole("hello")
    publish(recorder, events)
    async with recorder.running():
        await recorder.flushed()
    assert store.ids == [event.id for event in events]
    assert pauses.seconds == [RETRY_SECONDS, 1.0, 2.0, 4.0, LONGEST_PAUSE, LONGEST_PAUSE]
    assert recorder.dropped == 0


async def test_a_store_that_hangs_blocks_nobody_and_is_given_up_and_tried_again() -> None:
    store = Store()
    store.open.clear()
    retried = asyncio.Event()

    async def pause(_: float) -> None:
        retried.set()
        store.open.set()

    recorder = Recorder(store.write, StoreMode.FULL, pause=pause, write_seconds=0.01, most=10)
    recorder.opened(grant_of("s-1"))
    heard = Heard()
    async with recorder.running():
        recorder.publish(heard.said("a"))
        await store.tried.wait()
        publish(recorder, [heard.said("b") for _ in range(20)])  # none of them waits
        assert (len(recorder), recorder.dropped) == (10, 11)
        await retried.wait()
        await recorder.flushed()
    assert len(store.ids) == 10


@pytest.mark.parametrize("fault", [VoxgateError("invalid_input"), RuntimeError("secret")])
async def test_one_event_that_can_not_be_stored_costs_no_other(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    recorder = recorder_of(store)
    events = Heard().whole("hello", "secret")
    store.poison = {events[2].id}
    store.faults = [fault]
    publish(recorder, events)
    async with recorder.running():
        await recorder.flushed()
    assert store.ids == [event.id for event in events if event is not events[2]]
    assert (recorder.written, recorder.dropped) == (len(events) - 1, 1)
    assert "voice.transcript.completed can't be stored" in caplog.text
    assert "secret" not in caplog.text


async def test_what_is_left_at_the_end_is_written() -> None:
    store = Store()
    recorder = recorder_of(store)
    async with recorder.running():
        publish(recorder, Heard().whole("hello"))
    assert len(store.ids) == 5


async def test_the_end_comes_in_time_and_counts_what_was_not_written(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.open.clear()
    recorder = recorder_of(store)
    async with recorder.running(flush_seconds=0.01):
        publish(recorder, Heard().whole("hello"))
    assert recorder.dropped == 5
    assert len(recorder) == 0
    assert "not stored before the end" in caplog.text
