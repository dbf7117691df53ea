"""Several observers of sessions behind one."""

from voxgate_core import Grant, ResumeOutcome, SessionClosed, SessionObserver, VoxgateError

__all__ = ["Observers"]


class Observers:
    """Core's ``SessionObserver`` that tells each of ``observers``, in turn."""

    def __init__(self, *observers: SessionObserver) -> None:
        self._observers = observers

    def opened(self, grant: Grant) -> None:
        for observer in self._observers:
            observer.opened(grant)

    def detached(self, grant: Grant) -> None:
        for observer in self._observers:
            observer.detached(grant)

    def resume_asked(self, grant: Grant, outcome: ResumeOutcome) -> None:
        for observer in self._observers:
            observer.resume_asked(grant, outcome)

    def refused(self, error: VoxgateError) -> None:
        for observer in self._observers:
            observer.refused(error)

    def closed(self, summary: SessionClosed) -> None:
        for observer in self._observers:
            observer.closed(summary)
