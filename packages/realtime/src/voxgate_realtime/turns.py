"""Which turn a thing belongs to, and how long the user waited for an answer.

A turn is one response of the model, numbered from 1 in the order they begin. What the user says belongs to the response
that comes next. Its transcript may come after that response (the reference says so), hence the items are remembered.
"""

from typing import Final

__all__ = ["REMEMBERED", "Turns"]

REMEMBERED: Final = 64
"""Items of speech, and unfinished responses, whose turn is known at a time; beyond it the oldest is forgotten, and what
still comes of it is counted to the present turn."""


class Turns:
    """The turns of one session. Times are the caller's monotonic seconds.

    A wait runs from the end of the user's speech to the first audio after the next response began. A response without
    audio has no wait, nor has one that follows another and not the user.
    """

    __slots__ = ("_answered_after", "_answering", "_begun", "_items", "_responses", "_speech_ended", "completed")

    def __init__(self) -> None:
        self.completed = 0
        self._begun = 0
        self._items: dict[str, int] = {}
        self._responses: dict[str, int] = {}
        self._speech_ended: float | None = None
        self._answering: tuple[str, float] | None = None
        self._answered_after: tuple[str, float] | None = None

    @property
    def awaits_audio(self) -> bool:
        """Whether the next audio ends a wait."""
        return self._answering is not None

    def stop_speech(self, now: float) -> None:
        """The user has finished speaking."""
        self._speech_ended = now

    def commit(self, item_id: str) -> None:
        """The user's speech is item ``item_id`` now."""
        _remember(self._items, item_id, self._begun + 1)

    def begin(self, response_id: str) -> None:
        """The model began to answer."""
        self._begun += 1
        _remember(self._responses, response_id, self._begun)
        if self._speech_ended is not None:
            self._answering = (response_id, self._speech_ended)
            self._speech_ended = None

    def hear_audio(self, now: float) -> None:
        """Audio of the model."""
        if self._answering is not None:
            response_id, since = self._answering
            self._answered_after = (response_id, now - since)
            self._answering = None

    def complete(self, response_id: str) -> tuple[int, float | None]:
        """The model is done with a response: its turn, and the seconds the user waited for it, where known."""
        if response_id not in self._responses:
            self.begin(response_id)
        self.completed += 1
        waited = None
        if self._answering is not None and self._answering[0] == response_id:
            self._answering = None
        elif self._answered_after is not None and self._answered_after[0] == response_id:
            waited = self._answered_after[1]
            self._answered_after = None
        return self._responses.pop(response_id), waited

    def of_item(self, item_id: str) -> int:
        """The turn of something the user said; the present one for an item never committed here."""
        return self._items.get(item_id) or self._present()

    def of_response(self, response_id: str | None) -> int:
        """The turn of something the model said."""
        return self._responses.get(response_id or "") or self._present()

    def _present(self) -> int:
        """The turn that is under way, or the one to come."""
        return self._begun if self._responses else self._begun + 1


def _remember(turns: dict[str, int], key: str, turn: int) -> None:
    turns[key] = turn
    if len(turns) > REMEMBERED:
        del turns[next(iter(turns))]
