"""The states of one relayed session: a table, and a diagram of the same."""

from collections.abc import Iterator
from typing import Final

from reference_pages.markdown import heading, table
from voxgate_realtime import TRANSITIONS, State, Trigger

__all__ = ["DIAGRAM", "diagram", "sessions"]

DIAGRAM: Final = "images/session-states.svg"

TRIGGERS: Final = {
    Trigger.AUTHENTICATED: "the credential was verified",
    Trigger.UPSTREAM_READY: "the model server accepted the connection",
    Trigger.LOST: "the client's connection broke without a close frame, and the session waits for another one",
    Trigger.RESUMED: "the client came back on a new connection",
    Trigger.ENDED: "either side, a bound, a revocation or a graceful stop ends the session; the first reason counts",
    Trigger.DISCONNECTED: "the client's connection is gone",
}

STYLE: Final = """
  .card { fill: #ffffff; stroke: #d5dbe0 } .state { fill: #00796b } .end { fill: #455a64 }
  .name { fill: #ffffff; font-weight: 600 } .label { fill: #37474f }
  .group { fill: none; stroke: #90a4ae; stroke-dasharray: 5 4 } .arrow { stroke: #546e7a; fill: none } .head { fill: #546e7a }
  @media (prefers-color-scheme: dark) {
    .card { fill: #1e2129; stroke: #3a3f4b } .state { fill: #00897b } .end { fill: #607d8b }
    .label { fill: #cfd8dc } .group { stroke: #78909c } .arrow { stroke: #b0bec5 } .head { fill: #b0bec5 }
  }
"""

WIDTH: Final = 640
FRAMED: Final = 360
"""As far to the right as the frames go, and as much room on their other side."""

BOX: Final = (240, 42)
STEP: Final = 92
"""From one state to the next, downwards."""

LEFT: Final = 60
ASIDE: Final = (440, 160)
"""Where the state stands that leads back into the line, and how wide it is."""


class NotDrawn(Exception):
    """The table has a shape that this diagram can't show: draw it anew."""


def sessions() -> Iterator[str]:
    """The state table of one relayed session."""
    yield from heading("Session states")
    yield "One relayed session moves through these states. A trigger that has no cell in a state's row is ignored there."
    yield ""
    yield f"![{_told()}](../{DIAGRAM})"
    yield ""
    yield "An arrow that begins at a dashed frame leads out of every state inside it."
    yield ""
    header = ("state", *(f"`{trigger}`" for trigger in Trigger))
    rows = [(f"`{state}`", *(_moved(state, trigger) for trigger in Trigger)) for state in State]
    yield from table(header, rows)
    yield ""
    for trigger in Trigger:
        yield f"- `{trigger}`: {TRIGGERS[trigger]}."


def diagram() -> Iterator[str]:
    """The table as a picture: a line of states, and what leads out of all of them drawn once, from a frame around them;
    beside the last of them the state that leads back to it.

    Raises :class:`NotDrawn` where the table does not have that shape.
    """
    line, aside, ended, gone = _shape()
    tops = {state: 40 + number * STEP for number, state in enumerate(line)}
    tops[ended] = tops[line[-1]] + STEP + 46
    tops[gone] = tops[ended] + STEP + 30
    height = tops[gone] + BOX[1] + 24
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d"'
    yield f'     width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="14">'
    yield f'<title id="t">Session states</title><desc id="d">{_told()}</desc><style>{STYLE}</style>'
    yield '<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
    yield '<path class="head" d="M0 0 10 5 0 10z"/></marker></defs>'
    yield f'<rect class="card" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="10"/>'
    first = tops[line[0]]
    inner = tops[line[-1]] + BOX[1] + 16
    yield _frame(LEFT - 18, first - 16, FRAMED - 2 * (LEFT - 18), inner - first + 16)
    outer = tops[ended] + BOX[1] + 14
    yield _frame(LEFT - 36, first - 28, FRAMED - 2 * (LEFT - 36), outer - first + 28)
    for state, top in tops.items():
        yield _box(state, top, is_end=state in (ended, gone))
    for before, after in zip(line, line[1:], strict=False):
        yield _arrow(tops[before] + BOX[1], tops[after], _between(before, after))
    yield _arrow(inner, tops[ended], Trigger.ENDED)
    yield _arrow(outer, tops[gone], Trigger.DISCONNECTED)
    yield from _beside(tops[line[-1]], tops[gone], aside)
    yield "</svg>"


def _shape() -> tuple[list[State], State, State, State]:
    """The line of states that lead to each other, the one beside its end, where all of the line leads on ENDED, and all
    of that on DISCONNECTED."""
    (ended,) = {TRANSITIONS[State.AUTHENTICATING, Trigger.ENDED]}
    (gone,) = {after for (_, trigger), after in TRANSITIONS.items() if trigger is Trigger.DISCONNECTED}
    (aside,) = {after for (_, trigger), after in TRANSITIONS.items() if trigger is Trigger.LOST}
    line = [state for state in State if state not in (aside, ended, gone)]
    drawn = {(before, _between(before, after)): after for before, after in zip(line, line[1:], strict=False)}
    drawn |= {(state, Trigger.ENDED): ended for state in line}
    drawn |= {(state, Trigger.DISCONNECTED): gone for state in (*line, ended)}
    drawn |= {(line[-1], Trigger.LOST): aside, (aside, Trigger.RESUMED): line[-1], (aside, Trigger.ENDED): gone}
    if drawn != dict(TRANSITIONS):
        raise NotDrawn
    return line, aside, ended, gone


def _between(before: State, after: State) -> Trigger:
    triggers = [trigger for (state, trigger), target in TRANSITIONS.items() if (state, target) == (before, after)]
    if len(triggers) != 1:
        raise NotDrawn
    return triggers[0]


def _told() -> str:
    moves = (f"{state} to {after} on {trigger}" for (state, trigger), after in TRANSITIONS.items())
    return f"The states of a session: {'; '.join(moves)}."


def _beside(top: int, gone: int, aside: State) -> Iterator[str]:
    """The state beside the line, the way there and back, and its way out."""
    left, width = ASIDE
    near, middle = LEFT + BOX[0], left + width / 2
    yield _box(aside, top, is_end=False, left=left, width=width)
    line = 'class="arrow" stroke-width="1.6" marker-end="url(#a)"'
    yield f'<path {line} d="M{near} {top + 12}H{left - 1}"/><path {line} d="M{left} {top + 30}H{near + 1}"/>'
    yield f'<text class="label" x="{left - 12}" y="{top + 5}" text-anchor="end">{Trigger.LOST}</text>'
    yield f'<text class="label" x="{left - 12}" y="{top + 47}" text-anchor="end">{Trigger.RESUMED}</text>'
    yield f'<path {line} d="M{middle:g} {top + BOX[1]}V{gone + BOX[1] // 2}H{near + 1}"/>'
    yield f'<text class="label" x="{middle + 14:g}" y="{(top + gone) / 2 + BOX[1]:g}">{Trigger.ENDED}</text>'


def _box(state: State, top: int, *, is_end: bool, left: int = LEFT, width: int = BOX[0]) -> str:
    kind = "end" if is_end else "state"
    middle = left + width / 2
    return (
        f'<rect class="{kind}" x="{left}" y="{top}" width="{width}" height="{BOX[1]}" rx="8"/>'
        f'<text class="name" x="{middle:g}" y="{top + 26}" text-anchor="middle">{state}</text>'
    )


def _frame(left: int, top: int, width: int, height: int) -> str:
    return f'<rect class="group" x="{left}" y="{top}" width="{width}" height="{height}" rx="12"/>'


def _arrow(top: int, bottom: int, trigger: Trigger) -> str:
    middle = LEFT + BOX[0] / 2
    return (
        f'<path class="arrow" d="M{middle:g} {top}V{bottom - 1}" stroke-width="1.6" marker-end="url(#a)"/>'
        f'<text class="label" x="{middle + 14:g}" y="{(top + bottom) / 2 + 5:g}">{trigger}</text>'
    )


def _moved(state: State, trigger: Trigger) -> str:
    after = TRANSITIONS.get((state, trigger))
    return "" if after is None else f"`{after}`"
