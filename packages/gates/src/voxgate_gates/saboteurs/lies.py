"""The vocabulary lies are written in: when, and what then. Pure."""

import sys
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from voxgate_gates.saboteurs.messages import Answer, Frame, Headers, Request
from voxgate_gates.saboteurs.saboteur import Exchange, Lie, OnFrame
from voxgate_gates.target import Routes

__all__ = [
    "ROUTES",
    "answers_instead",
    "asks_otherwise",
    "closes_with",
    "drops_event",
    "event_lie",
    "http_lie",
    "json_lie",
    "to",
    "with_key",
    "without_header",
    "without_key",
    "wrapped",
]

ROUTES: Final = Routes()
"""Where the honest gateway keeps what the lies are about."""

When: TypeAlias = Callable[[Exchange], bool]
AnswerChange: TypeAlias = Callable[[Exchange, Answer], None]


def wrapped(program: str) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """A Python program in front of a command, which is its arguments."""
    return lambda command: (sys.executable, "-c", program, *command)


def to(path: str, method: str = "", *, is_socket: bool = False) -> When:
    """Requests to a path, by one method if it is named."""
    path = path.partition("?")[0]

    def matches(exchange: Exchange) -> bool:
        request = exchange.request
        return request.path == path and request.is_socket == is_socket and method in ("", request.method)

    return matches


def with_key(when: When) -> When:
    """Of those, the ones that carry a credential."""
    return lambda exchange: when(exchange) and "authorization" in exchange.request.headers


def without_key(when: When) -> When:
    """Of those, the ones that carry none."""
    return lambda exchange: when(exchange) and "authorization" not in exchange.request.headers


def asks_otherwise(when: When, change: Callable[[Exchange], None]) -> Lie:
    """A lie that lets the honest target answer another question."""

    async def on_request(exchange: Exchange) -> None:
        if when(exchange):
            change(exchange)

    return Lie(request=on_request)


def answers_instead(when: When, answer: Callable[[Exchange], Answer]) -> Lie:
    """A lie that keeps the honest target out of it."""

    async def on_request(exchange: Exchange) -> Answer | None:
        return answer(exchange) if when(exchange) else None

    return Lie(request=on_request)


def http_lie(when: When, change: AnswerChange, *, status: int | None = None) -> Lie:
    """A lie about answers; with ``status`` about those alone that have it."""

    def on_answer(exchange: Exchange, answer: Answer) -> None:
        if when(exchange) and status in (None, answer.status):
            change(exchange, answer)

    return Lie(answer=on_answer)


def json_lie(when: When, change: Callable[[dict[str, object]], object], *, status: int | None = None) -> Lie:
    """A lie about the JSON object in answers."""

    def on_body(exchange: Exchange, answer: Answer) -> None:
        value = answer.json()
        change(value)
        answer.put(value)

    return http_lie(when, on_body, status=status)


def without_header(name: str) -> AnswerChange:
    """Take a header away."""

    def take(exchange: Exchange, answer: Answer) -> None:
        del answer.headers[name]

    return take


def event_lie(change: Callable[[Exchange, dict[str, object]], Sequence[dict[str, object]] | None]) -> OnFrame:
    """A lie about JSON events; ``None`` lets one pass as it is."""

    async def on_frame(exchange: Exchange, frame: Frame) -> Sequence[Frame]:
        event = frame.event
        changed = None if event is None else change(exchange, event)
        return [frame] if changed is None else [Frame.text(event) for event in changed]

    return on_frame


def drops_event(kind: str) -> OnFrame:
    """Events of one type never arrive."""
    return event_lie(lambda exchange, event: [] if event.get("type") == kind else None)


def closes_with(code: int, instead_of: int, when: Callable[[Request], bool] = lambda request: True) -> Lie:
    """A close code that clients would read otherwise."""

    async def on_frame(exchange: Exchange, frame: Frame) -> Sequence[Frame]:
        if frame.close_code == instead_of and when(exchange.request):
            return [Frame.close(code, frame.payload[2:].decode())]
        return [frame]

    return Lie(to_client=on_frame)


def made(status: int, body: dict[str, object]) -> Answer:
    """An answer out of nothing."""
    answer = Answer(status, Headers([("Content-Type", "application/json")]))
    answer.put(body)
    return answer
