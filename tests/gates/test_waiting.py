from collections.abc import Iterable

import pytest

from voxgate_gates.waiting import FIRST_PAUSE, GROWTH, LONGEST_PAUSE, ask_until


class Asked:
    """Gives the answers one by one, and the last of them from then on. Its time passes only in its pauses."""

    def __init__(self, answers: Iterable[int], *, answering: float = 0.0) -> None:
        self.answers = list(answers)
        self.answering = answering
        self.times: list[float] = []
        self.pauses: list[float] = []
        self.time = 100.0

    async def ask(self) -> int:
        self.times.append(self.time)
        self.time += self.answering
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds

    async def until_200(self, seconds: float) -> int:
        return await ask_until(
            self.ask, lambda status: status == 200, seconds=seconds, now=lambda: self.time, pause=self.pause
        )


async def test_an_answer_that_is_there_is_not_waited_for() -> None:
    asked = Asked([200])
    assert await asked.until_200(5.0) == 200
    assert asked.pauses == []


async def test_it_asks_until_the_answer_is_the_one_hoped_for() -> None:
    asked = Asked([404, 404, 200, 500])
    assert await asked.until_200(5.0) == 200
    assert asked.pauses == [FIRST_PAUSE, pytest.approx(FIRST_PAUSE * GROWTH)]


async def test_when_the_time_is_over_it_asks_for_the_last_time() -> None:
    asked = Asked([404])
    assert await asked.until_200(5.0) == 404
    assert asked.times[0] == 100.0
    assert asked.times[-1] == pytest.approx(105.0)
    assert max(asked.pauses) == LONGEST_PAUSE


async def test_without_time_it_asks_once() -> None:
    asked = Asked([404, 200])
    assert await asked.until_200(0.0) == 404
    assert asked.times == [100.0]


async def test_answers_that_take_long_count_as_waiting() -> None:
    asked = Asked([404], answering=3.0)
    assert await asked.until_200(5.0) == 404
    assert len(asked.times) == 3
    assert asked.pauses == [FIRST_PAUSE, 0.0]


async def test_what_asking_raises_ends_it() -> None:
    async def ask() -> int:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await ask_until(ask, bool, seconds=5.0)


async def test_by_itself_it_waits_by_the_clock_of_the_machine() -> None:
    answers = iter([0, 0, 1])

    async def ask() -> int:
        return next(answers)

    assert await ask_until(ask, bool, seconds=5.0) == 1
