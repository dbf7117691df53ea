from voxgate_core import ManualClock
from voxgate_observability.retention.budget import TELL_SECONDS, Budget


def test_a_run_ends_when_its_time_is_up() -> None:
    clock = ManualClock()
    budget = Budget(clock, 90)
    clock.advance(89)
    budget.look(str)
    assert budget.why is None
    clock.advance(1)
    budget.look(str)
    assert budget.why == "time limit of 90 s"


def test_the_first_reason_to_stop_stays() -> None:
    budget = Budget(ManualClock(), 90)
    budget.stop("SIGTERM")
    budget.stop("SIGINT")
    assert budget.why == "SIGTERM"


def test_progress_is_told_now_and_then_and_never_in_a_short_run() -> None:
    clock, told = ManualClock(), list[str]()
    budget = Budget(clock, 90, told.append)
    budget.look(lambda: "one")
    clock.advance(TELL_SECONDS)
    budget.look(lambda: "two")
    budget.look(lambda: "three")
    clock.advance(TELL_SECONDS)
    budget.look(lambda: "four")
    assert told == ["two", "four"]
