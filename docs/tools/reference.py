"""Writes docs/reference/, docs/gates/ and the examples of settings from the code. The pages are committed.

``python docs/tools/reference.py`` writes, ``--check`` only says what is stale (exit 1), ``--facts`` prints as JSON what
documents written by hand must agree with. Run it where the workspace is installed (``nox -s dev`` makes such a place).
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from voxgate_core import ERRORS, Environment, ErrorKind, Retry
from voxgate_gates import ALL_CHECKS, Check
from voxgate_gateway.settings import DEV_ORIGINS, Settings
from voxgate_observability import METRICS
from voxgate_realtime import TRANSITIONS, State, Trigger

__all__ = ["FOLDERS", "examples", "facts", "pages"]

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = Path(__file__).resolve().parents[1]
FOLDERS: Final = ("gates", "reference")
"""Folders of docs/ that hold nothing but pages written here."""

NOTICE: Final = "<!-- Written by docs/tools/reference.py from the code: change the code, then run the script. -->"

RETRY: Final = {
    Retry.NEVER: "no: the same request is refused again",
    Retry.NEW_TOKEN: "with a new token",
    Retry.LATER: "later",
    Retry.NOW: "at once",
}

TRIGGERS: Final = {
    Trigger.AUTHENTICATED: "the credential was verified.",
    Trigger.UPSTREAM_READY: "the model server accepted the connection.",
    Trigger.ENDED: "either side, a bound, a revocation or a graceful stop ends the session. The first reason counts.",
    Trigger.DISCONNECTED: "the client's connection is gone.",
}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table, line by line."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join('---' for _ in header)}|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def errors() -> Iterator[str]:
    """Every row of the error table, by code and by close code."""
    yield "# Errors"
    yield ""
    yield NOTICE
    yield ""
    yield "Every refusal has one row here, and HTTP answers, WebSocket closes and this page all read the same table"
    yield "(`voxgate_core.ERRORS`). A code may be added; none is ever renamed."
    yield ""
    yield "Over HTTP the code is `error.code` of the body, sent with the status. On a WebSocket an `error` event with"
    yield "the same `code` goes out first, then a close frame with the close code."
    yield ""
    yield "## By code"
    yield ""
    yield from table(("code", "HTTP status", "close code", "meaning", "try again?"), map(error_row, ERRORS.values()))
    yield ""
    yield "## By close code"
    yield ""
    by_close_code: dict[int, list[ErrorKind]] = {}
    for kind in ERRORS.values():
        by_close_code.setdefault(kind.close_code, []).append(kind)
    rows = [(str(code), ", ".join(f"`{kind.code}`" for kind in by_close_code[code])) for code in sorted(by_close_code)]
    yield from table(("close code", "codes"), rows)


def error_row(kind: ErrorKind) -> tuple[str, ...]:
    return f"`{kind.code}`", str(kind.status), str(kind.close_code), kind.title, RETRY[kind.retry]


def settings() -> Iterator[str]:
    """Every environment variable the gateway reads."""
    yield "# Settings"
    yield ""
    yield NOTICE
    yield ""
    yield "The gateway reads these environment variables and nothing else. An empty one counts as not set."
    yield "`voxgate config check` lists every fault at once; `voxgate config show` prints what is in force, secrets only"
    yield "as a fingerprint."
    yield ""
    rows = []
    for field in Settings.model_fields.values():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        rows.append((f"`{field.alias}`", f"`{shown}`" if shown else "not set", str(field.description)))
    yield from table(("variable", "default", "meaning"), rows)


def sessions() -> Iterator[str]:
    """The state table of one relayed session."""
    yield "# Session states"
    yield ""
    yield NOTICE
    yield ""
    yield "One relayed session moves through these states. A trigger that has no cell in a state's row is ignored there."
    yield ""
    header = ("state", *(f"`{trigger}`" for trigger in Trigger))
    rows = [(f"`{state}`", *(moved(state, trigger) for trigger in Trigger)) for state in State]
    yield from table(header, rows)
    yield ""
    for trigger in Trigger:
        yield f"- `{trigger}`: {TRIGGERS[trigger]}"


def moved(state: State, trigger: Trigger) -> str:
    after = TRANSITIONS.get((state, trigger))
    return "" if after is None else f"`{after}`"


def checks() -> Iterator[str]:
    """Every check there is, one line each."""
    yield "# Checks"
    yield ""
    yield NOTICE
    yield ""
    yield "What the [gates](../gates.md) prove. Reports point to the page of each check."
    for gate in dict.fromkeys(check.gate for check in ALL_CHECKS):
        yield ""
        yield f"## {gate.capitalize()}"
        yield ""
        own = (check for check in ALL_CHECKS if check.gate == gate)
        rows = ((f"[`{check.id}`](../gates/{check.id}.md)", check.promise, str(check.severity)) for check in own)
        yield from table(("check", "promise", "severity"), rows)


def check_page(check: Check) -> Iterator[str]:
    """One check on a page of its own."""
    yield f"# {check.id}"
    yield ""
    yield NOTICE
    yield ""
    yield check.promise
    yield ""
    yield from table(
        ("", ""),
        (
            ("condition", f"`{check.condition}`"),
            ("severity", str(check.severity)),
            ("safe on production", "yes" if check.safe_on_production else "no"),
            ("needs", ", ".join(sorted(check.needs)) or "nothing"),
            ("may take", f"{check.seconds:g} s"),
        ),
    )
    yield ""
    yield f"If it falls short: {check.advice}"
    yield ""
    yield "Run it alone:"
    yield ""
    yield "```console"
    yield f"$ voxgate gates --only {check.id}"
    yield "```"


def metrics() -> Iterator[str]:
    """Every metric of /metrics."""
    yield "# Metrics"
    yield ""
    yield NOTICE
    yield ""
    yield "What `/metrics` shows, in Prometheus's text format, beside the usual figures of the process. Each stands at 0 until"
    yield "something happens. [Observability](../OBSERVABILITY.md#metrics) says who may read it and what to watch."
    yield ""
    rows = ((f"`{m.name}`", str(m.kind), ", ".join(f"`{label}`" for label in m.labels), m.help) for m in METRICS)
    yield from table(("metric", "type", "labels", "meaning"), rows)


EXAMPLE_ORIGINS: Final = {
    Environment.PREVIEW: "https://preview.voice.example.com",
    Environment.PROD: "https://voice.example.com",
}
"""Where the pages of a deployment are, in the examples and in docs/SECURITY.md."""

INTERNAL: Final = ("VOXGATE_WORKER",)


def example(environment: Environment) -> Iterator[str]:
    """The settings of one environment as a file for a shell or systemd."""
    yield f"# Settings of a {environment} gateway, all of them. Written by docs/tools/reference.py from the code."
    yield "# Copy it, take the # from what you set, and ask `voxgate config check`."
    yield ""
    yield f"VOXGATE_ENV={environment}"
    if environment in EXAMPLE_ORIGINS:
        yield f"ALLOWED_ORIGINS={EXAMPLE_ORIGINS[environment]}"
    for field in Settings.model_fields.values():
        if field.alias in ("VOXGATE_ENV", *INTERNAL):
            continue
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = str(default).lower() if isinstance(default, bool) else "" if default is None else str(default)
        yield ""
        yield f"# {field.description}"
        yield f"# {field.alias}={shown}"


def examples() -> dict[str, str]:
    """The whole text of each example of settings, by its name in the repository's root."""
    names = {Environment.DEV: ".env.example"} | {e: f".env.{e}.example" for e in EXAMPLE_ORIGINS}
    return {name: "\n".join(example(environment)) + "\n" for environment, name in names.items()}


def facts() -> dict[str, object]:
    """What documents written by hand must agree with. ``ttl`` is seconds."""
    return {
        "ttl": {str(environment): environment.token_ttl for environment in Environment},
        "devOrigins": list(DEV_ORIGINS),
        "settings": [str(field.alias) for field in Settings.model_fields.values() if field.alias not in INTERNAL],
        "metrics": [metric.name for metric in METRICS],
    }


def pages() -> dict[str, str]:
    """The whole text of every page, by its path in docs/."""
    texts = {
        "reference/checks.md": checks(),
        "reference/errors.md": errors(),
        "reference/metrics.md": metrics(),
        "reference/sessions.md": sessions(),
        "reference/settings.md": settings(),
    } | {f"gates/{check.id}.md": check_page(check) for check in ALL_CHECKS}
    return {path: "\n".join(lines) + "\n" for path, lines in texts.items()}


def written() -> dict[Path, str]:
    """Every file that comes from the code, by its path."""
    return {DOCS / path: text for path, text in pages().items()} | {
        ROOT / name: text for name, text in examples().items()
    }


def leftovers(wanted: Iterable[Path]) -> list[Path]:
    """Pages of things that the code has no more."""
    known = frozenset(wanted)
    return [page for folder in FOLDERS for page in sorted((DOCS / folder).glob("*.md")) if page not in known]


def check() -> int:
    """Say what is stale, and leave it alone."""
    wanted = written()
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in [*stale, *leftovers(wanted)]:
        print(path.relative_to(ROOT))
    return 1 if stale or leftovers(wanted) else 0


def write() -> int:
    """Write them all, and remove what is left over."""
    wanted = written()
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    for page in leftovers(wanted):
        page.unlink()
    print(f"wrote {len(wanted)} files")
    return 0


def main(words: Sequence[str]) -> int:
    match words:
        case []:
            return write()
        case ["--check"]:
            return check()
        case ["--facts"]:
            print(json.dumps(facts(), indent=2))
            return 0
        case _:
            print(f"usage: {Path(__file__).name} [--check | --facts]", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
