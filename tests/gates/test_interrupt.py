import asyncio
import os
import signal

import pytest

from voxgate_gates.interrupt import stop_event


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_sets_the_event_and_ends_nothing(number: signal.Signals) -> None:
    with stop_event() as stop:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            await stop.wait()


async def test_the_handlers_are_gone_afterwards() -> None:
    with stop_event():
        pass
    assert not asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
