"""The Data gate's checks of upkeep: retention removes what it said and nothing else, and an erasure really erases.

Both run the started gateway's own `voxgate` on a folder made for the check, and look at the files themselves.
"""

import asyncio
import json
import os
import secrets
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from voxgate_gates.check import Need, Severity, Suite
from voxgate_gates.checks import data_endpoints
from voxgate_gates.harness import SETTINGS
from voxgate_gates.probe import Probe, Unjudged

__all__ = ["suite"]

suite = Suite(data_endpoints.suite.gate)

COMMAND_SECONDS: Final = 45.0
"""For one command, on a machine that is busy."""

CHECK_SECONDS: Final = 4 * COMMAND_SECONDS
"""For a check: it runs three commands, and gives up on the first that takes too long."""

PAST_DAYS: Final = 30
"""Age of the files that are past their time, where one day is allowed."""

PAST: Final = ("past-1.tmp", "past-2.tmp", "deep/past-3.tmp")
FRESH: Final = ("fresh-1.tmp", "deep/fresh-2.tmp", "past-of-another-kind.wav")
"""What must stay: new, or of a name that the policy does not mean."""

POLICIES: Final = """
[policies.gate]
path = "judged"
pattern = "*.tmp"
recursive = true
max_age = "1d"
max_share = 1.0
"""

SHOWN: Final = 300
"""Characters of a command's last words that are repeated."""

STORE: Final = "conversations.sqlite3"


@suite.check(
    "retention-honest",
    promise="Retention's plan and dry run remove nothing, and the real run removes exactly what they said.",
    condition=(
        "[PLANNED] == [PAST] && [GONE_AFTER_PLAN] == [] && [DRY_RUN] == [PAST] && [GONE_AFTER_DRY_RUN] == [] && "
        "[GONE] == [PAST] && [CHANGED] == [] && [STATUSES] == [0, 0, 0]"
    ),
    advice="Run `voxgate retention plan`, then `run --apply`, on a folder of copies, and compare what is left.",
    severity=Severity.CRITICAL,
    safe_on_production=False,
    needs=[Need.COMMAND],
    seconds=CHECK_SECONDS,
    slow=True,
)
async def retention_honest(probe: Probe) -> Mapping[str, object]:
    return await asyncio.to_thread(_in_folder, _retention, probe.target.command)


@suite.check(
    "erase-really-erases",
    promise="After an erasure nothing of the subject is left in the database's files, and others lose nothing.",
    condition=(
        "[THERE_BEFORE] == true && [STATUS] == 0 && [TEXT_LEFT_IN] == [] && [SUBJECT_LEFT_IN] == [] && "
        "[OTHER_IS_LEFT] == true"
    ),
    advice="Overwrite deleted rows (secure_delete), rewrite the file (VACUUM), and empty its log before it is called done.",
    severity=Severity.CRITICAL,
    safe_on_production=False,
    needs=[Need.COMMAND],
    seconds=CHECK_SECONDS,
    slow=True,
)
async def erase_really_erases(probe: Probe) -> Mapping[str, object]:
    return await asyncio.to_thread(_in_folder, _erasure, probe.target.command)


def _in_folder(
    judge: Callable[[tuple[str, ...], Path], Mapping[str, object]], command: tuple[str, ...]
) -> Mapping[str, object]:
    with tempfile.TemporaryDirectory(prefix="voxgate-gates-") as folder:
        return judge(command, Path(folder).resolve())


def _retention(command: tuple[str, ...], folder: Path) -> Mapping[str, object]:
    judged = folder / "judged"
    long_ago = time.time() - PAST_DAYS * 86_400
    for name in (*PAST, *FRESH):
        path = judged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        if "past" in name:
            os.utime(path, (long_ago, long_ago))
    (folder / "retention.toml").write_text(POLICIES)
    before = _contents(judged)
    planned = _run(command, folder, "retention", "plan", "--json")
    after_plan = _contents(judged)
    dry = _run(command, folder, "retention", "run", "--json")
    after_dry_run = _contents(judged)
    applied = _run(command, folder, "retention", "run", "--apply", "--json")
    after = _contents(judged)
    return {
        "PAST": sorted(PAST),
        "PLANNED": _told(planned),
        "GONE_AFTER_PLAN": sorted(before.keys() - after_plan.keys()),
        "DRY_RUN": _told(dry),
        "GONE_AFTER_DRY_RUN": sorted(before.keys() - after_dry_run.keys()),
        "GONE": sorted(before.keys() - after.keys()),
        "CHANGED": sorted(name for name, content in after.items() if before.get(name) != content),
        "STATUSES": [run.returncode for run in (planned, dry, applied)],
    }


def _contents(folder: Path) -> dict[str, bytes]:
    """Every file below, by its path from here."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _told(run: "subprocess.CompletedProcess[str]") -> list[str]:
    """The files that a report names as past their time. Raises :class:`Unjudged` where there is no such report."""
    try:
        decisions = json.loads(run.stdout)["policies"][0]["decisions"]
        return sorted(str(decision["path"]) for decision in decisions)
    except (ValueError, LookupError, TypeError) as error:
        raise Unjudged(f"`voxgate retention` printed no report: {_last_words(run)}") from error


def _erasure(command: tuple[str, ...], folder: Path) -> Mapping[str, object]:
    made = _run(command, folder, "db", "upgrade")
    if made.returncode != 0:
        raise Unjudged(f"`voxgate db upgrade` made no store: {_last_words(made)}")
    erased, other = (f"gate-{secrets.token_hex(16)}" for _ in range(2))
    texts = {subject: f"said-{secrets.token_hex(16)}" for subject in (erased, other)}
    try:
        _seed(folder / STORE, texts)
    except sqlite3.Error as error:
        raise Unjudged(f"the store in {STORE} can't be filled: {error}") from error
    there = _files_with(folder, texts[erased])
    run = _run(command, folder, "data", "erase", "--sub", erased)
    return {
        "THERE_BEFORE": bool(there),
        "STATUS": run.returncode,
        "TEXT_LEFT_IN": _files_with(folder, texts[erased]),
        "SUBJECT_LEFT_IN": _files_with(folder, erased),
        "OTHER_IS_LEFT": bool(_files_with(folder, texts[other])),
    }


def _seed(store: Path, texts: Mapping[str, str]) -> None:
    """One session for each subject, in which its text was said. Raises ``sqlite3.Error``."""
    now = time.time()
    with closing(sqlite3.connect(f"file:{store}?mode=rw", uri=True)) as database, database:
        for subject, text in texts.items():
            session = f"sess-{secrets.token_hex(8)}"
            database.execute(
                "INSERT INTO sessions (id, subject, mode, started_at) VALUES (?, ?, 'full', ?)", (session, subject, now)
            )
            database.execute(
                "INSERT INTO transcripts (event_id, session_id, at, role, text, redacted, truncated) "
                "VALUES (?, ?, ?, 'user', ?, 0, 0)",
                (f"evt-{secrets.token_hex(8)}", session, now, text),
            )


def _files_with(folder: Path, text: str) -> list[str]:
    """Names of the files whose bytes hold the text: of the database, its log, and whatever else is there."""
    return sorted(name for name, content in _contents(folder).items() if text.encode() in content)


def _run(command: tuple[str, ...], folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `voxgate` with ``folder`` as its data folder, and none of the settings around it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    try:
        return subprocess.run(
            [*command, *words],
            env={**inherited, "VOXGATE_ENV": "dev", "VOXGATE_DATA_DIR": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unjudged(f"`voxgate {' '.join(words[:2])}` did not end within {COMMAND_SECONDS:g} s") from error


def _last_words(run: "subprocess.CompletedProcess[str]") -> str:
    return f"status {run.returncode}, {run.stderr.strip()[-SHOWN:] or 'without a word'}"
