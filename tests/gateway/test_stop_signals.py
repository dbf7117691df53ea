import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from voxgate_gateway.stop_signals import StopSignals


@contextlib.contextmanager
def handled(number: signal.Signals) -> Iterator[list[int]]:
    """Whatever the signal does when nobody catches it, written down in its place."""
    raised: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        raised.append(number)

    before = signal.signal(number, handler)
    try:
        yield raised
        assert signal.getsignal(number) is handler, "the handler of before was not put back"
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_is_told_at_once_and_does_its_work_at_the_end(number: signal.Signals) -> None:
    told: asyncio.Queue[int] = asyncio.Queue()
    with handled(number) as raised:
        with StopSignals() as signals:
            signals.catch(told.put_nowait)
            os.kill(os.getpid(), number)
            assert await told.get() == number
            assert raised == []
        assert raised == [number]


async def test_of_many_signals_each_is_told_and_the_first_one_counts() -> None:
    told: asyncio.Queue[int] = asyncio.Queue()
    with handled(signal.SIGINT) as interrupted, handled(signal.SIGTERM) as terminated:
        with StopSignals() as signals:
            signals.catch(told.put_nowait)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
                assert await told.get() == number
        assert (interrupted, terminated) == ([signal.SIGINT], [])


async def test_before_they_are_caught_and_without_a_signal_nothing_is_different() -> None:
    with handled(signal.SIGTERM) as raised:
        with StopSignals():
            os.kill(os.getpid(), signal.SIGTERM)
            assert raised == [signal.SIGTERM]
        with StopSignals() as signals:
            signals.catch(lambda _: pytest.fail("there was none"))
        assert raised == [signal.SIGTERM]


async def test_an_error_goes_before_a_signal() -> None:
    told: asyncio.Queue[int] = asyncio.Queue()

    async def fail() -> None:
        with StopSignals() as signals:
            signals.catch(told.put_nowait)
            os.kill(os.getpid(), signal.SIGTERM)
            await told.get()
            raise LookupError

    with handled(signal.SIGTERM) as raised:
        with pytest.raises(LookupError):
            await fail()
        assert raised == []


async def test_beside_the_main_thread_signals_are_left_alone() -> None:
    async def catch() -> None:
        with StopSignals() as signals:
            signals.catch(lambda _: None)

    with handled(signal.SIGTERM):
        handler = signal.getsignal(signal.SIGTERM)
        await asyncio.to_thread(asyncio.run, catch())
        assert signal.getsignal(signal.SIGTERM) is handler
