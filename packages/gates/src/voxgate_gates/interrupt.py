"""Ctrl-C and SIGTERM as an event, so that a run ends with a report of what ran."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["stop_event"]


@contextmanager
def stop_event() -> Iterator[asyncio.Event]:
    """An event that either signal sets while this is entered, on a running loop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    with contextlib.ExitStack() as restore:
        for number in (signal.SIGINT, signal.SIGTERM):
            # Not on Windows, and not off the main thread: there the interrupt ends the run without a report.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, stop.set)
                restore.callback(loop.remove_signal_handler, number)
        yield stop
