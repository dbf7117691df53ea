from tests.gateway.rig import end_of, grant_of
from voxgate_core import Grant, ResumeOutcome, SessionClosed, VoxgateError
from voxgate_gateway.observers import Observers


class Listening:
    """Writes down what it is told, under its name, in a book that it shares."""

    def __init__(self, name: str, book: list[tuple[str, object]]) -> None:
        self._name = name
        self._book = book

    def opened(self, grant: Grant) -> None:
        self._book.append((self._name, grant))

    def detached(self, grant: Grant) -> None:
        self._book.append((self._name, ("detached", grant)))

    def resume_asked(self, grant: Grant, outcome: ResumeOutcome) -> None:
        self._book.append((self._name, (grant, outcome)))

    def refused(self, error: VoxgateError) -> None:
        self._book.append((self._name, error))

    def closed(self, summary: SessionClosed) -> None:
        self._book.append((self._name, summary))


def test_each_observer_is_told_everything_in_turn() -> None:
    book: list[tuple[str, object]] = []
    observers = Observers(Listening("a", book), Listening("b", book))
    opened, refused, closed = grant_of("sess_1"), VoxgateError("draining"), end_of("sess_1")
    observers.opened(opened)
    observers.detached(opened)
    observers.resume_asked(opened, ResumeOutcome.RESUMED)
    observers.refused(refused)
    observers.closed(closed)
    told = (opened, ("detached", opened), (opened, ResumeOutcome.RESUMED), refused, closed)
    assert book == [(name, what) for what in told for name in ("a", "b")]


def test_nobody_may_listen() -> None:
    Observers().opened(grant_of("sess_1"))
