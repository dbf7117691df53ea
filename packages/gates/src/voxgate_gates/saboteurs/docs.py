"""Saboteurs of the Docs gate: each edits a document in a copy of the project."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from voxgate_gates.saboteurs.lies import ROUTES, http_lie, to
from voxgate_gates.saboteurs.messages import Answer
from voxgate_gates.saboteurs.saboteur import Exchange, Part, Saboteur

__all__ = ["SABOTEURS"]


def _replaced(name: str, old: str, new: str, *, times: int = -1) -> Callable[[Path], object]:
    """An edit that fails where there is nothing to edit, so that a saboteur can't become idle unnoticed."""

    def edit(project: Path) -> None:
        (path,) = sorted(project.glob(name))
        text = path.read_text("utf-8")
        if old not in text:
            raise AssertionError(f"{name} does not hold {old!r}")
        path.write_text(text.replace(old, new, times), "utf-8")

    return edit


def _saboteur(name: str, lie: str, story: str, edit: Callable[[Path], object], *related: str) -> Saboteur:
    names = frozenset(f"docs.{check}" for check in related)
    return Saboteur(check=f"docs.{name}", name=lie, story=story, part=Part.PROJECT, edit=edit, related=names)


def _another_metric(exchange: Exchange, answer: Answer) -> None:
    answer.body += b"# HELP voxgate_secret_total What nobody wrote about.\n# TYPE voxgate_secret_total counter\n"
    answer.headers["content-length"] = str(len(answer.body))


SABOTEURS: Final = (
    _saboteur(
        "changelog-entry",
        "undated",
        "The entry of the version has no date.",
        _replaced("CHANGELOG.md", " - 2026-", " - soon, in 2026-", times=1),
    ),
    _saboteur(
        "cross-links",
        "dead-fragment",
        "The security page links to a heading that is gone.",
        _replaced("docs/SECURITY.md", "(backplane.md)", "(backplane.md#what-was-here-once)"),
        "site-builds",  # a strict build looks at fragments too
    ),
    _saboteur(
        "adr-statuses",
        "undecided",
        "A decision has no status.",
        _replaced("docs/adr/0004-*.md", "- Status: accepted", "- Status: maybe"),
    ),
    _saboteur(
        "release-notes",
        "nothing-is-missing",
        "The release notes do not say what is missing.",
        _replaced("docs/release-notes/*.md", "## Known gaps", "## And so on"),
    ),
    _saboteur(
        "executive-summary",
        "proof-invented",
        "The executive summary names a check that does not exist.",
        _replaced("docs/AUDIT_EXECUTIVE_SUMMARY.md", "`data.parity`", "`data.all-is-well`"),
    ),
    _saboteur(
        "generated-pages",
        "edited-by-hand",
        "A page that comes from the code was edited.",
        _replaced("docs/reference/errors.md", "The gateway is full", "The gateway is a little tired"),
    ),
    _saboteur(
        "security-facts",
        "longer-life",
        "The security page promises a longer life of tokens than the code gives.",
        _replaced("docs/SECURITY.md", "`https://voice.example.com` | 300 s |", "`https://voice.example.com` | 900 s |"),
    ),
    _saboteur(
        "env-examples",
        "unknown-setting",
        "An example names a setting that there is not.",
        _replaced(".env.example", "# JWT_SECRET=", "# JWT_SECRETS="),
        "generated-pages",  # the examples are written by the same script
    ),
    _saboteur(
        "uptime-workflow",
        "address-written-down",
        "The workflow looks at an address of its own.",
        _replaced(".github/workflows/uptime.yml", "${{ vars.HEALTH_URL }}", "https://voice.example.com/api/health"),
    ),
    _saboteur(
        "site-builds",
        "page-lost",
        "The navigation names a page that is gone.",
        _replaced("mkdocs.yml", "realtime.md", "realtime-as-it-was.md"),
    ),
    Saboteur(
        check="docs.metrics-documented",
        name="unwritten",
        story="The gateway shows a metric that nobody wrote about.",
        lie=http_lie(to(ROUTES.metrics), _another_metric, status=200),
    ),
)
