"""Writes docs/reference/, docs/gates/ and the examples of settings from the code. The pages are committed.

``python docs/tools/reference.py`` writes, ``--check`` only says what is stale (exit 1), ``--facts`` prints as JSON what
documents written by hand must agree with. Run it where the workspace is installed (``nox -s dev`` makes such a place).
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))

from reference_pages.api import api_index, api_page, packages
from reference_pages.commands import commands
from reference_pages.errors import close_codes, errors
from reference_pages.events import events
from reference_pages.gates import check_page, checks
from reference_pages.metrics import metrics
from reference_pages.routes import routes
from reference_pages.sessions import DIAGRAM, diagram, sessions
from reference_pages.settings import INTERNAL, examples, settings

from voxgate_core import Environment
from voxgate_gates import ALL_CHECKS
from voxgate_gateway.settings import DEV_ORIGINS, Settings
from voxgate_observability import METRICS

__all__ = ["FOLDERS", "examples", "facts", "pages"]

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = Path(__file__).resolve().parents[1]
FOLDERS: Final = ("gates", "reference", "reference/api")
"""Folders of docs/ that hold nothing but pages written here."""


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
        "reference/api/index.md": api_index(),
        "reference/checks.md": checks(),
        "reference/close-codes.md": close_codes(),
        "reference/commands.md": commands(),
        "reference/errors.md": errors(),
        "reference/events.md": events(),
        "reference/metrics.md": metrics(),
        "reference/routes.md": routes(),
        "reference/sessions.md": sessions(),
        "reference/settings.md": settings(),
    }
    texts |= {f"reference/api/{name}.md": api_page(name) for name in packages()}
    texts |= {f"gates/{check.id}.md": check_page(check) for check in ALL_CHECKS}
    return {path: "\n".join(lines) + "\n" for path, lines in texts.items()}


def written() -> dict[Path, str]:
    """Every file that comes from the code, by its path."""
    picture = {DOCS / DIAGRAM: "\n".join(diagram()) + "\n"}
    return (
        {DOCS / path: text for path, text in pages().items()}
        | picture
        | {ROOT / name: text for name, text in examples().items()}
    )


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
