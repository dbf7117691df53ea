"""What was seen of each target, in one SQLite file: looks, and the moments a state changed."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxgate_observability.uptime.verdict import Verdict
from voxgate_observability.uptime.watching import State

__all__ = ["History", "Outage", "Summary"]

KEPT_SECONDS: Final = 90 * 86_400.0
"""How long a look is remembered."""

BUSY_SECONDS: Final = 5.0
"""How long to wait while a report is being read."""

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS looks (url TEXT NOT NULL, at REAL NOT NULL, up INTEGER NOT NULL, seconds REAL NOT NULL);
CREATE INDEX IF NOT EXISTS looks_by_time ON looks (url, at);
CREATE TABLE IF NOT EXISTS changes (url TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS changes_by_time ON changes (url, at);
"""


_FORGET_CHANGES: Final = """
DELETE FROM changes WHERE at < ? AND at < (SELECT max(later.at) FROM changes AS later WHERE later.url = changes.url)
"""
"""The last change of a target is how it stands, however long ago that was."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Epoch seconds; ``ended`` is ``None`` while it lasts."""

    began: float
    ended: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """One target over a time: ``availability`` is the share of looks that went well, 0 to 1; times are seconds."""

    url: str
    looks: int
    availability: float
    p50: float
    p95: float
    outages: tuple[Outage, ...]


class History:
    """The file at ``path``, made when it is not there. Raises ``sqlite3.Error`` where the file can't be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.executescript(_SCHEMA)

    def note(self, url: str, at: float, verdict: Verdict, *, changed_to: State | None) -> None:
        """Remember one look, and the change that it made; forget what is older than :data:`KEPT_SECONDS`."""
        with self._open() as database:
            row = (url, at, int(verdict.is_up), verdict.seconds)
            database.execute("INSERT INTO looks VALUES (?, ?, ?, ?)", row)
            if changed_to is not None:
                change = (url, at, changed_to.value, "; ".join(verdict.faults))
                database.execute("INSERT INTO changes VALUES (?, ?, ?, ?)", change)
            database.execute("DELETE FROM looks WHERE at < ?", (at - KEPT_SECONDS,))
            database.execute(_FORGET_CHANGES, (at - KEPT_SECONDS,))

    def state(self, url: str) -> State:
        """How the target stood when it was last looked at."""
        with self._open() as database:
            row = database.execute(
                "SELECT state FROM changes WHERE url = ? ORDER BY at DESC LIMIT 1", (url,)
            ).fetchone()
        return State.UP if row is None else State(row[0])

    def summaries(self, since: float) -> list[Summary]:
        """Every target that was looked at since that moment, by its URL."""
        with self._open() as database:
            urls = [
                row[0]
                for row in database.execute("SELECT DISTINCT url FROM looks WHERE at >= ? ORDER BY url", (since,))
            ]
            return [_summary(database, url, since) for url in urls]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as database, database:
            yield database


def _summary(database: sqlite3.Connection, url: str, since: float) -> Summary:
    looks = database.execute(
        "SELECT up, seconds FROM looks WHERE url = ? AND at >= ? ORDER BY at", (url, since)
    ).fetchall()
    times = sorted(seconds for up, seconds in looks if up)
    changes = database.execute("SELECT at, state, reason FROM changes WHERE url = ? ORDER BY at", (url,)).fetchall()
    outages: list[Outage] = []
    for at, state, reason in changes:
        if state == State.DOWN:
            outages.append(Outage(at, None, reason))
        elif outages:
            outages[-1] = Outage(outages[-1].began, at, outages[-1].reason)
    lately = tuple(outage for outage in outages if outage.ended is None or outage.ended >= since)
    return Summary(
        url, len(looks), sum(up for up, _ in looks) / len(looks), _quantile(times, 0.5), _quantile(times, 0.95), lately
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
