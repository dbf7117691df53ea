"""What a relay publishes, as the tests need it: sessions, words, tool calls and ends."""

import itertools
from collections.abc import Mapping, Sequence

from voxgate_core import Event, Grant
from voxgate_gateway.store.database import Database
from voxgate_gateway.store.modes import StoreMode
from voxgate_gateway.store.rows import Waiting
from voxgate_gateway.store.writer import BatchWriter

__all__ = ["USAGE", "Heard", "grant_of", "keep"]

USAGE: Mapping[str, int] = {"inputTokens": 10, "outputTokens": 20, "totalTokens": 30}

_numbers = itertools.count(1)


def grant_of(session: str, subject: str = "ada", *scope: str) -> Grant:
    """The grant of a token with these scopes beside ``realtime``."""
    return Grant(subject, session, f"jti-{session}", None, frozenset({"realtime", *scope}), 0, 60)


class Heard:
    """Events of one session, a second apart from ``at`` on."""

    def __init__(self, session: str = "s-1", subject: str = "ada", *, at: float = 1000.0) -> None:
        self.session = session
        self.subject = subject
        self._at = itertools.count(at)

    def event(self, kind: str, **data: object) -> Event:
        about = {"sessionId": self.session, "sub": self.subject}
        return Event(f"evt_{next(_numbers):08}", "/voxgate", kind, next(self._at), self.session, {**about, **data})

    def started(self) -> Event:
        return self.event("voice.session.started", origin="https://app.example", dialect="native", model="m-1")

    def said(self, text: str, role: str = "user", **more: object) -> Event:
        return self.event("voice.transcript.completed", turn=1, role=role, itemId="i", text=text, **more)

    def called(self, arguments: str = "{}") -> Event:
        return self.event("voice.tool.called", callId="c-1", name="look_up", arguments=arguments)

    def turned(self) -> Event:
        return self.event(
            "voice.turn.completed", turn=1, responseId="r-1", status="completed", text="x", usage=USAGE, milliseconds=80
        )

    def ended(self, code: int = 1000) -> Event:
        return self.event(
            "voice.session.ended", code=code, reason="client_closed", seconds=2.5, clientMessages=3, clientBytes=40,
            upstreamMessages=5, upstreamBytes=60, turns=1, usage=USAGE,
        )  # fmt: skip

    def whole(self, *texts: str) -> list[Event]:
        """A session from its start to its end."""
        return [self.started(), *map(self.said, texts), self.called(), self.turned(), self.ended()]


async def keep(database: Database, events: Sequence[Event], mode: StoreMode = StoreMode.FULL) -> None:
    """Write events as a recorder would."""
    await BatchWriter(database).write([Waiting(event, mode) for event in events])
