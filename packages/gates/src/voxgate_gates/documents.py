"""Judges a project's documents as text: changelog, links, decisions, tables. Pure; each function returns what is wrong.

Sources: Keep a Changelog 1.1.0, MADR (a status for each decision), Semantic Versioning 2.0.0 for how a version is written.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    "missing_words",
    "release_name",
    "security_faults",
    "summary_faults",
    "table_rows",
]

WORKSTREAMS: Final = ("Security", "Realtime", "Build", "Data", "Docs")
ITEMS: Final = tuple(f"WS{stream}-P3-0{item}" for stream in range(1, 6) for item in range(1, 4))
"""What the executive summary accounts for: three items of each workstream."""

STATUSES: Final = ("proposed", "accepted", "rejected", "deprecated", "superseded")

_FENCE: Final = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)\s]+)\)")
_PRERELEASE: Final = re.compile(r"(\d+\.\d+\.\d+)(a|b|rc)(\d+)")


def release_name(version: str) -> str:
    """A Python version (PEP 440) as people write it: ``0.2.0rc2`` is ``0.2.0-rc.2``."""
    found = _PRERELEASE.fullmatch(version)
    if found is None:
        return version
    kinds = {"a": "alpha", "b": "beta", "rc": "rc"}
    return f"{found[1]}-{kinds[found[2]]}.{found[3]}"


def changelog_faults(text: str, release: str) -> list[str]:
    """What is wrong with the entry of a release: it must be there, on top, dated, and name every workstream."""
    headings = re.findall(r"^## \[?([^\]\s]+)\]?(.*)$", text, re.MULTILINE)
    released = [(name, rest) for name, rest in headings if name.lower() != "unreleased"]
    if release not in [name for name, _ in released]:
        return [f"there is no entry for {release}"]
    faults = [] if released[0][0] == release else [f"the entry for {release} is not the newest one"]
    rest = dict(released)[release]
    if not re.fullmatch(r" - \d{4}-\d{2}-\d{2}", rest):
        faults.append(f"the entry for {release} has no date")
    entry = re.split(r"^## ", text, flags=re.MULTILINE)
    body = next(part for part in entry if release in part.partition("\n")[0])
    return faults + [f"the entry does not speak of {stream}" for stream in WORKSTREAMS if stream not in body]


def heading_ids(text: str) -> set[str]:
    """The anchors of a page's headings, as the site makes them."""
    titles = re.findall(r"^#{1,6} +(.+?)\s*#*$", _FENCE.sub("", text), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", title) for title in titles)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in plain}


def links_of(text: str) -> list[tuple[str, str]]:
    """Path and fragment of each relative link; a link within the page has an empty path."""
    found = [target.partition("#") for target in _LINK.findall(_FENCE.sub("", text))]
    return [(path, fragment) for path, _, fragment in found]


def decision_faults(records: Mapping[str, str], index: str) -> list[str]:
    """What is wrong with decision records, which are given by file name: numbers, statuses, and the index."""
    faults = []
    for number, (name, text) in enumerate(sorted(records.items()), start=1):
        if not name.startswith(f"{number:04d}-"):
            faults.append(f"{name} is not number {number:04d}")
        status = re.search(r"^- Status: *([a-z]+)(.*)$", text, re.MULTILINE)
        if status is None or status[1] not in STATUSES:
            faults.append(f"{name} has none of the statuses {', '.join(STATUSES)}")
        elif status[1] == "superseded" and not re.search(r"\d{4}-[\w-]+\.md", status[2]):
            faults.append(f"{name} is superseded and does not say by which")
        if index.count(f"({name})") != 1:
            faults.append(f"the index lists {name} {index.count(f'({name})')} times, not once")
    return faults or ([] if records else ["there are no decision records"])


def table_rows(text: str, *header: str) -> list[tuple[str, ...]]:
    """The cells of every table of a page that has this header; empty when there is none."""
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
    rows = {cells[0]: cells for cells in table_rows(text, "id", "promise", "state", "where", "proven by")}
    faults = [f"{item} is not accounted for" for item in ITEMS if item not in rows]
    for item, (_, _, state, where, proof) in rows.items():
        named = re.findall(r"`([a-z]+\.[a-z0-9-]+)`", proof)
        if not state.startswith(("done", "in part", "open")):
            faults.append(f"{item} has no state")
        if not where:
            faults.append(f"{item} does not say where")
        if not named:
            faults.append(f"{item} names no check")
        faults += [f"{item} names {name}, which is no check" for name in named if name not in known]
    return faults


def env_names(text: str) -> list[str]:
    """The variables of an example of settings, set or commented out, each once, in their order."""
    return list(dict.fromkeys(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)))


def env_value(text: str, name: str) -> str | None:
    """What an example sets a variable to; ``None`` where it is not set."""
    found = re.search(rf"^{re.escape(name)}=(.*)$", text, re.MULTILINE)
    return None if found is None else found[1]


def missing_words(text: str, words: Iterable[str]) -> list[str]:
    """The words that a text does not hold."""
    return [word for word in words if word not in text]


def security_faults(text: str, ttl: Mapping[str, int], origins: Mapping[str, Sequence[str]]) -> list[str]:
    """Where the table of environments differs from the lifetimes (seconds) and the allowlists that are given."""
    rows = {cells[0]: cells for cells in table_rows(text, "environment", "origins", "token TTL")}
    faults = [f"{name} is not in the table of environments" for name in ttl if name not in rows]
    for name, (_, listed, lifetime) in rows.items():
        if name not in ttl:
            faults.append(f"there is no environment {name}")
            continue
        if lifetime != f"{ttl[name]} s":
            faults.append(f"{name}: the page says {lifetime}, the code {ttl[name]} s")
        said = re.findall(r"`([^`]+)`", listed)
        if said != list(origins[name]):
            faults.append(f"{name}: the page lets in {', '.join(said)}; in force are {', '.join(origins[name])}")
    return faults
