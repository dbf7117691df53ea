"""Judges a project's documents as text: changelog, links, decisions, tables. Pure; each function returns what is wrong.

Sources: Keep a Changelog 1.1.0, MADR (a status for each decision), Semantic Versioning 2.0.0 for how a version is written.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Final

__all__ = [
    "STATUSES",
    "WORKSTREAMS",
    "changelog_faults",
    "decision_faults",
    "env_names",
    "env_value",
    "heading_ids",
    "links_of",
    "metrics_of",
    "missing_words",
    "places_of",
    "prose",
    "release_name",
    "sections_of",
    "security_faults",
    "summary_faults",
    "table_rows",
    "unlinked",
    "uptime_faults",
]

WORKSTREAMS: Final = ("Security", "Realtime", "Build", "Data", "Docs")
ITEMS: Final = tuple(f"WS{stream}-P3-0{item}" for stream in range(1, 6) for item in range(1, 4))
"""What the executive summary accounts for: three items of each workstream."""

STATUSES: Final = ("proposed", "accepted", "rejected", "deprecated", "superseded")

TIMES: Final = 2
"""The fewest looks before a deployment is called down."""

_FENCE: Final = re.compile(r"^(```|~~~).*?(?:^\1|\Z)", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)\s]+)\)")
_PRERELEASE: Final = re.compile(r"(\d+\.\d+\.\d+)(a|b|rc)(\d+)")


_SUMMARY: Final = ("id", "promise", "state", "where", "proven by")

_UPTIME: Final = {
    "a timer": r"^ *- cron: *[\"'].+[\"']$",
    "HEALTH_URL: ${{ vars.HEALTH_URL }}": r"^ *HEALTH_URL: *\$\{\{ *vars\.HEALTH_URL *\}\} *$",
    "a look at $HEALTH_URL": r"\bcurl\b.*\"\$\{?HEALTH_URL\}?\"",
    **{
        command: rf"(?:^|\$\(|;|&&|\|\||\brun:|\bthen) *{command}\b"
        for command in ("gh issue list", "gh issue create", "gh issue close", "gh workflow enable")
    },
}
"""What the uptime workflow does, each with the pattern of a line that does it."""


def release_name(version: str) -> str:
    """A Python version (PEP 440) as people write it: ``0.2.0rc2`` is ``0.2.0-rc.2``."""
    found = _PRERELEASE.fullmatch(version)
    if found is None:
        return version
    kinds = {"a": "alpha", "b": "beta", "rc": "rc"}
    return f"{found[1]}-{kinds[found[2]]}.{found[3]}"


def prose(text: str) -> str:
    """What a reader of the page gets to see as text: no comments, and none of the code in fences."""
    return _COMMENT.sub("", _FENCE.sub("", text))


def changelog_faults(text: str, release: str) -> list[str]:
    """What is wrong with the entry of a release: it must be there, on top, dated, and name every workstream."""
    entries = [(*title.partition(" - "), body) for title, body in sections_of(text).items()]
    released = {
        name.strip("[]"): (day, body) for name, _, day, body in entries if name.lower().strip("[]") != "unreleased"
    }
    if release not in released:
        return [f"there is no entry for {release}"]
    faults = [] if next(iter(released)) == release else [f"the entry for {release} is not the newest one"]
    day, body = released[release]
    if not _is_day(day):
        faults.append(f"the entry for {release} has no date")
    unspoken = (stream for stream in WORKSTREAMS if not re.search(rf"\b{stream}\b", body))
    return faults + [f"the entry does not speak of {stream}" for stream in unspoken]


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def heading_ids(text: str) -> set[str]:
    """The anchors of a page's headings, as the site makes them."""
    titles = re.findall(r"^#{1,6} +(.+?)\s*#*$", prose(text), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", title) for title in titles)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in plain}


def links_of(text: str) -> list[tuple[str, str]]:
    """Path and fragment of each relative link; a link within the page has an empty path."""
    found = [target.partition("#") for target in _LINK.findall(prose(text))]
    return [(path, fragment) for path, _, fragment in found]


def unlinked(text: str, paths: Iterable[str]) -> list[str]:
    """The ends of paths that no link of a page leads to."""
    linked = [path for path, _ in links_of(text)]
    return [end for end in paths if not any(path == end or path.endswith(f"/{end}") for path in linked)]


def sections_of(text: str) -> dict[str, str]:
    """The prose below each heading of the second level, stripped; empty where there is none."""
    _, *parts = re.split(r"^## +(.+?)\s*#*$", prose(text), flags=re.MULTILINE)
    return {title: body.strip() for title, body in zip(parts[::2], parts[1::2], strict=True)}


def decision_faults(records: Mapping[str, str], index: str) -> list[str]:
    """What is wrong with decision records, which are given by file name: numbers, statuses, and the index."""
    faults = []
    listed = Counter(path for path, _ in links_of(index))
    for number, (name, text) in enumerate(sorted(records.items()), start=1):
        if not name.startswith(f"{number:04d}-"):
            faults.append(f"{name} is not number {number:04d}")
        status = re.search(r"^- Status: *([a-z]+)(.*)$", prose(text), re.MULTILINE)
        if status is None or status[1] not in STATUSES:
            faults.append(f"{name} has none of the statuses {', '.join(STATUSES)}")
        elif status[1] == "superseded" and not records.keys() & set(re.findall(r"\d{4}-[\w-]+\.md", status[2])):
            faults.append(f"{name} is superseded and does not say by which")
        if listed[name] != 1:
            faults.append(f"the index lists {name} {listed[name]} times, not once")
    return faults or ([] if records else ["there are no decision records"])


def table_rows(text: str, *header: str) -> list[tuple[str, ...]]:
    """The cells of every table of a page that has this header; empty when there is none."""
    text = prose(text)
    lines = [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in text.splitlines()]
    rows: list[tuple[str, ...]] = []
    inside = False
    for line, cells in zip(text.splitlines(), lines, strict=True):
        if not line.lstrip().startswith("|"):
            inside = False
        elif cells == header:
            inside = True
        elif inside and not set("".join(cells)) <= set("-: "):
            rows.append(cells)
    return rows


def summary_faults(text: str, known: Collection[str]) -> list[str]:
    """What is wrong with an executive summary: each item has a state, a place, and checks that exist."""
    rows = [cells for cells in table_rows(text, *_SUMMARY) if len(cells) == len(_SUMMARY)]
    found = Counter(cells[0] for cells in rows)
    faults = [f"{item} is not accounted for" for item in ITEMS if not found[item]]
    faults += [f"{item} is accounted for {count} times" for item, count in found.items() if count > 1]
    for item, _, state, where, proof in rows:
        named = re.findall(r"`([a-z]+\.[a-z0-9-]+)`", proof)
        if not re.match(r"(done|in part|open)\b", state):
            faults.append(f"{item} has no state")
        if not where:
            faults.append(f"{item} does not say where")
        if not named:
            faults.append(f"{item} names no check")
        faults += [f"{item} names {name}, which is no check" for name in named if name not in known]
    return faults


def places_of(text: str) -> list[str]:
    """The paths, as code, that an executive summary says its items are in."""
    rows = table_rows(text, *_SUMMARY)
    return [path for cells in rows if len(cells) == len(_SUMMARY) for path in re.findall(r"`([^`]+)`", cells[3])]


def metrics_of(page: str) -> dict[str, str]:
    """The type of each metric that a reference gives with a meaning."""
    rows = [cells for cells in table_rows(page, "metric", "type", "labels", "meaning") if len(cells) >= 4]
    return {cells[0].strip("`"): cells[1] for cells in rows if cells[-1]}


def uptime_faults(text: str) -> list[str]:
    """What a workflow lacks that looks at the variable HEALTH_URL, more than once, and keeps one issue. Comments do nothing."""
    does = "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines())
    missing = [what for what, pattern in _UPTIME.items() if not re.search(pattern, does, re.MULTILINE)]
    tries = re.search(r"^\s*TRIES: *[\"']?(\d{1,3})\b", does, re.MULTILINE)
    if tries is None or int(tries[1]) < TIMES or not re.search(r"<= *\$?\{?TRIES\b", does):
        missing.append(f"TRIES of {TIMES} or more, and a loop over them")
    if len(re.findall(r"\bHEALTH_URL *[:=](?!-)", does)) > 1:
        missing.append("one value of HEALTH_URL, and no other")
    return missing


def env_names(text: str) -> list[str]:
    """The variables of an example of settings, set or commented out, each once, in their order."""
    return list(dict.fromkeys(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)))


def env_value(text: str, name: str) -> str | None:
    """What an example sets a variable to; ``None`` where it is not set."""
    found = re.findall(rf"^{re.escape(name)}=(.*)$", text, re.MULTILINE)
    return str(found[-1]) if found else None  # the last one wins, as it does for those who read the file


def missing_words(text: str, words: Iterable[str]) -> list[str]:
    """The words that a text does not hold."""
    return [word for word in words if word not in text]


def security_faults(text: str, ttl: Mapping[str, int], origins: Mapping[str, Sequence[str]]) -> list[str]:
    """Where the table of environments differs from the lifetimes (seconds) and the allowlists that are given."""
    rows = [cells for cells in table_rows(text, "environment", "origins", "token TTL") if len(cells) == 3]
    found = {cells[0] for cells in rows}
    faults = [f"{name} is not in the table of environments" for name in ttl if name not in found]
    for name, listed, lifetime in rows:
        if name not in ttl:
            faults.append(f"there is no environment {name}")
            continue
        if lifetime != f"{ttl[name]} s":
            faults.append(f"{name}: the page says {lifetime}, the code {ttl[name]} s")
        said = re.findall(r"`([^`]+)`", listed)
        if said != list(origins[name]):
            faults.append(f"{name}: the page lets in {', '.join(said)}; in force are {', '.join(origins[name])}")
    return faults
