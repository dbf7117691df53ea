"""Saboteurs of the Data gate: seven endpoints in three places, parity, and the two checks of upkeep."""

from typing import Final

from voxgate_gates.php_cases import ENDPOINTS, MARKETING, Endpoint
from voxgate_gates.saboteurs.lies import asks_otherwise, http_lie, json_lie, to, without_header, wrapped
from voxgate_gates.saboteurs.messages import Answer
from voxgate_gates.saboteurs.saboteur import Exchange, Lie, Part, Saboteur

__all__ = ["SABOTEURS"]


def _tell_runtime(exchange: Exchange, answer: Answer) -> None:
    answer.headers["X-Powered-By"] = "PHP/8.2.0"


def _as_page(exchange: Exchange, answer: Answer) -> None:
    answer.headers["content-type"] = "text/html; charset=UTF-8"


def _drop_trace(exchange: Exchange) -> None:
    del exchange.request.headers["traceparent"]


def _endpoint_lies(endpoint: Endpoint) -> dict[str, tuple[str, Lie]]:
    """Lies about headers alone: bodies stay equal, so that parity holds."""
    path = endpoint.good.path
    here = to(path)
    return {
        "tells-runtime": ("says what runs there in X-Powered-By", http_lie(here, _tell_runtime)),
        "sniffable": ("lacks X-Content-Type-Options", http_lie(here, without_header("x-content-type-options"))),
        "page": ("calls its JSON a page", http_lie(here, _as_page, status=endpoint.good.status)),
        "trace-lost": ("begins a trace of its own", asks_otherwise(here, _drop_trace)),
        "refusal-bare": (
            "answers a refusal around the middleware",
            http_lie(here, without_header("referrer-policy"), status=endpoint.bad.status),
        ),
        "cached": ("lets its answers be cached", http_lie(here, without_header("cache-control"))),
        "frameable": ("may be shown in a frame", http_lie(here, without_header("content-security-policy"))),
    }


_PLACES: Final = (
    ("php", "The PHP shim's", Part.PHP),
    ("gateway", "The gateway's", Part.GATEWAY),
    ("remote", "The PHP base's", Part.REMOTE),
)


def _of_endpoints() -> list[Saboteur]:
    """One for each endpoint in each place; no two places get the same lie for the same endpoint."""
    made = []
    for shift, (place, whose, part) in enumerate(_PLACES):
        for index, endpoint in enumerate(ENDPOINTS):
            lies = list(_endpoint_lies(endpoint).items())
            name, (what, lie) = lies[(index + 2 * shift) % len(lies)]
            check = f"data.{place}-{endpoint.name.replace('_', '-')}"
            made.append(Saboteur(check=check, name=name, story=f"{whose} {endpoint.name} {what}.", part=part, lie=lie))
    return made


def _other_figures(body: dict[str, object]) -> None:
    """Another campaign name, the same in the legacy field: to the schema, but not what PHP says."""
    data = body["data"]
    assert isinstance(data, dict)
    campaigns = data["campaigns"]
    campaigns[0]["name"] = "Another name"
    body["campaigns"] = campaigns


# Each becomes the command that it is in front of: a process in between would not pass on what the command is told.
_APPLY_AT_ONCE: Final = """
import os, sys
command = sys.argv[1:]
if "retention" in command and "run" in command and "--apply" not in command:
    command.append("--apply")
os.execvp(command[0], command)
"""

_ERASE_NOTHING: Final = """
import os, sys
command = sys.argv[1:]
if "erase" in command:
    sys.exit(0)
os.execvp(command[0], command)
"""


SABOTEURS: Final = (
    *_of_endpoints(),
    Saboteur(
        check="data.parity",
        name="other-figures",
        story="Python and PHP tell different figures.",
        lie=json_lie(to(MARKETING), _other_figures, status=200),
    ),
    Saboteur(
        check="data.retention-honest",
        name="dry-run-removes",
        story="A dry run removes files.",
        part=Part.COMMAND,
        command=wrapped(_APPLY_AT_ONCE),
    ),
    Saboteur(
        check="data.erase-really-erases",
        name="says-so-only",
        story="An erasure says that it is done, and does nothing.",
        part=Part.COMMAND,
        command=wrapped(_ERASE_NOTHING),
    ),
)
