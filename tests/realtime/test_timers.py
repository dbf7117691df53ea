import asyncio

from voxgate_realtime.timers import Timers


async def test_a_timer_fires_once_with_its_arguments() -> None:
    fired: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    timers = Timers(asyncio.get_running_loop())
    timers.after(0.0, lambda name, number: fired.put_nowait((name, number)), "one", 1)
    assert await fired.get() == ("one", 1)
    assert fired.empty()


async def test_none_fires_after_they_were_called_off() -> None:
    fired: list[str] = []
    later = asyncio.Event()
    timers = Timers(asyncio.get_running_loop())
    for delay in (0.0, 0.01):
        timers.after(delay, fired.append, "called off")
    timers.cancel()
    timers.after(0.03, later.set)
    await later.wait()
    assert fired == []
