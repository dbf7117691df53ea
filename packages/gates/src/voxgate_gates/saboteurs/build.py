"""Saboteurs of the Build gate: one for each check."""

import hashlib
import json
import secrets
from pathlib import Path
from typing import Final

from voxgate_gates.checks.security import BAD_ORIGIN
from voxgate_gates.coverage import COVERAGE, SOURCES, sources_digest
from voxgate_gates.saboteurs.lies import (
    ROUTES,
    answers_instead,
    asks_otherwise,
    http_lie,
    json_lie,
    made,
    to,
    without_key,
    wrapped,
)
from voxgate_gates.saboteurs.messages import Answer
from voxgate_gates.saboteurs.saboteur import Exchange, Lie, Part, Saboteur

__all__ = ["SABOTEURS"]

POST: Final = to(ROUTES.fanout, "POST")
STUB: Final = to(ROUTES.fanout_stub, "POST")


def _keyless(exchange: Exchange) -> bool:
    """A sound event without an Idempotency-Key, from a caller who may post."""
    request = exchange.request
    is_sound = request.bearer == exchange.world.key and request.origin == exchange.world.origin
    return POST(exchange) and is_sound and b'"nonce"' in request.body and "idempotency-key" not in request.headers


def _into_the_void(exchange: Exchange) -> Answer:
    trace_id = exchange.request.headers.get("traceparent").split("-")[1]
    data = {"eventId": f"evt_{secrets.token_hex(8)}", "targets": ["stub"], "stub": True}
    answer = made(202, {"success": True, "traceId": trace_id, "data": data})
    answer.headers["x-trace-id"] = trace_id
    return answer


def _forget(exchange: Exchange, *, same_body: bool) -> None:
    """Let go of an Idempotency-Key that came before, with the same body or with another."""
    request, notes = exchange.request, exchange.world.notes
    key, digest = request.headers.get("idempotency-key"), hashlib.sha256(request.body).hexdigest()
    if not key:
        return
    if key in notes and (notes[key] == digest) is same_body:
        del request.headers["idempotency-key"]
    notes.setdefault(key, digest)


def _believe(exchange: Exchange, answer: Answer) -> None:
    answer.status = 200


def _last_key_wins(exchange: Exchange) -> None:
    try:
        event = json.loads(exchange.request.body)
    except ValueError:
        return
    exchange.request.body = json.dumps(event).encode()
    exchange.request.headers["content-length"] = str(len(exchange.request.body))


def _take_key(exchange: Exchange) -> None:
    exchange.request.bearer = exchange.world.key


def _allow_origin(exchange: Exchange) -> None:
    exchange.request.origin = exchange.world.origin


def _no_targets(body: dict[str, object]) -> None:
    data = body["data"]
    assert isinstance(data, dict)
    data.pop("targets")


def _as_400(exchange: Exchange, answer: Answer) -> None:
    answer.status = 400


_ANY_OTHER_PORT: Final = """
import os, sys
command = sys.argv[1:]
if "--port" in command:
    command[command.index("--port") + 1] = "0"
os.execvp(command[0], command)
"""

_RUNS_AWAY: Final = """
import signal, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], start_new_session=MOVES)
if "serve" in sys.argv and "0" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
sys.exit(child.wait())
"""


def _cover_less(project: Path) -> None:
    """As a run of half of the tests leaves it."""
    (project / COVERAGE).parent.mkdir(exist_ok=True)
    (project / COVERAGE).write_text(json.dumps({"totals": {"percent_covered": 45.0}}), "utf-8")
    (project / SOURCES).write_text(sources_digest(project), "utf-8")


def _saboteur(name: str, lie_name: str, story: str, lie: Lie, *related: str) -> Saboteur:
    names = frozenset(f"build.{check}" for check in related)
    return Saboteur(check=f"build.{name}", name=lie_name, story=story, lie=lie, related=names)


SABOTEURS: Final = (
    _saboteur(
        "fanout-accepted",
        "targets-untold",
        "The answer does not say which targets an event goes to.",
        json_lie(POST, _no_targets, status=202),
    ),
    _saboteur(
        "fanout-delivered",
        "into-the-void",
        "An event is accepted, and never delivered.",
        answers_instead(_keyless, _into_the_void),
        "fanout-idempotent",  # it waits for a later event, which is lost like any other
    ),
    _saboteur(
        "fanout-idempotent",
        "twice",
        "The same Idempotency-Key and body again makes a second event.",
        asks_otherwise(POST, lambda exchange: _forget(exchange, same_body=True)),
    ),
    _saboteur(
        "fanout-key-reused-409",
        "key-taken-again",
        "An Idempotency-Key is taken for another body.",
        asks_otherwise(POST, lambda exchange: _forget(exchange, same_body=False)),
    ),
    _saboteur(
        "fanout-forgery-401",
        "unverified",
        "The stub takes what another secret has signed.",
        http_lie(STUB, _believe, status=401),
    ),
    _saboteur(
        "fanout-unauthenticated-401",
        "trusts-anonymous",
        "A caller without a credential is taken for the operator.",
        asks_otherwise(without_key(POST), _take_key),
    ),
    _saboteur(
        "fanout-bad-origin-403",
        "any-page",
        "Any page may post events that has a key.",
        asks_otherwise(lambda exchange: POST(exchange) and exchange.request.origin == BAD_ORIGIN, _allow_origin),
    ),
    _saboteur(
        "fanout-bad-body-400",
        "last-key-wins",
        "Of two types in one body the last one counts.",
        asks_otherwise(POST, _last_key_wins),
    ),
    _saboteur(
        "fanout-too-large-413",
        "as-400",
        "A body too large is answered as a bad one.",
        http_lie(POST, _as_400, status=413),
    ),
    Saboteur(
        check="build.port-taken",
        name="takes-another",
        story="A gateway that can't have its port takes another one, and says nothing.",
        part=Part.COMMAND,
        command=wrapped(_ANY_OTHER_PORT),
    ),
    Saboteur(
        check="build.leaves-nothing",
        name="runs-on",
        story="The process that is told to stop ends, and the one that serves does not.",
        part=Part.COMMAND,
        command=wrapped(_RUNS_AWAY.replace("MOVES", "False")),
    ),
    Saboteur(
        check="build.leaves-nothing",
        name="moves-away",
        story="The process that serves moves to a session of its own, where a signal to its group does not find it.",
        part=Part.COMMAND,
        command=wrapped(_RUNS_AWAY.replace("MOVES", "True")),
    ),
    Saboteur(
        check="build.coverage-floor",
        name="tests-gone",
        story="Half of the code is not tested.",
        part=Part.PROJECT,
        edit=_cover_less,
    ),
)
