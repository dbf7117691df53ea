"""SIGTERM and SIGINT as a question: a gateway stops everything first, and ends by the signal then."""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, Self

__all__ = ["StopSignals"]

NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """From :meth:`catch` to the end of the block both signals are told; then the first one does what it would have done.

    uvicorn catches them too, but raises them as soon as it has stopped itself: SIGTERM would end the process before the
    last events are stored, the control file is gone, and nats-server has been stopped.
    """

    def __init__(self) -> None:
        self._caught: list[int] = []
        self._before: dict[int, Callable[[int, FrameType | None], object] | int] = {}

    def catch(self, told: Callable[[int], None]) -> None:
        """Call ``told`` on the running event loop with the number of each signal. Does nothing beside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()

        def caught(number: int, frame: FrameType | None) -> None:
            self._caught.append(number)
            loop.call_soon_threadsafe(told, number)

        for number in NUMBERS:
            self._before[number] = signal.signal(number, caught) or signal.SIG_DFL

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if error is None and self._caught:
            signal.raise_signal(self._caught[0])
