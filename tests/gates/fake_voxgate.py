"""``python fake_voxgate.py [LIE…] -- WORDS…``: the commands that the data gate runs, on the standard library alone."""

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

FOLDER = Path(os.environ["VOXGATE_DATA_DIR"])
STORE = FOLDER / "conversations.sqlite3"
SCHEMA = """
CREATE TABLE sessions (id TEXT PRIMARY KEY, subject TEXT, mode TEXT, started_at REAL);
CREATE TABLE transcripts (
    event_id TEXT, session_id TEXT, at REAL, role TEXT, text TEXT, redacted INTEGER, truncated INTEGER
);
"""


def retention(words: list[str], lies: set[str]) -> int:
    judged = FOLDER / "judged"
    past = [path for path in sorted(judged.rglob("past*")) if path.suffix == ".tmp" or "takes-all" in lies]
    told = [str(path.relative_to(judged)) for path in past]
    if "plan-hides" in lies and "plan" in words:
        told.pop()
    if "dry-run-hides" in lies and words == ["run", "--json"]:
        told.pop()
    if "no-report" in lies:
        sys.stdout.write("it went well\n")
        return 0
    sys.stdout.write(json.dumps({"policies": [{"decisions": [{"path": path} for path in told]}]}))
    applied = "--apply" in words or ("plan-removes" in lies and "plan" in words)
    applied = applied or ("dry-run-removes" in lies and words[0] == "run")
    if applied:
        for path in past[1:] if "leaves-one" in lies else past:
            path.unlink(missing_ok=True)
        if "touches-others" in lies:
            (judged / "fresh-1.tmp").write_text("cut")
        if "removes-more" in lies:
            (judged / "fresh-1.tmp").unlink(missing_ok=True)
    return 1 if "falls-short" in lies else 0


def upgrade(lies: set[str]) -> int:
    if "no-store" in lies:
        sys.stderr.write("there is no database\n")
        return 2
    with closing(sqlite3.connect(STORE)) as database:
        database.executescript("CREATE TABLE other (id TEXT);" if "other-schema" in lies else SCHEMA)
    return 0


def erase(subject: str, lies: set[str]) -> int:
    with closing(sqlite3.connect(STORE, isolation_level=None)) as database:
        database.execute(f"PRAGMA secure_delete = {'OFF' if 'leaves-bytes' in lies else 'ON'}")
        if "erases-nothing" in lies:
            return 0
        only = "1" if "erases-all" in lies else "session_id IN (SELECT id FROM sessions WHERE subject = ?)"
        parameters = () if "erases-all" in lies else (subject,)
        database.execute(f"DELETE FROM transcripts WHERE {only}", parameters)
        if "keeps-the-subject" not in lies:
            database.execute("DELETE FROM sessions WHERE subject = ?", (subject,))
    if "logs-it" in lies:
        (FOLDER / "erase.log").write_text(f"erased {subject}")
    return 1 if "falls-short" in lies else 0


def main() -> int:
    at = sys.argv.index("--")
    lies, words = set(sys.argv[1:at]), sys.argv[at + 1 :]
    match words:
        case ["retention", *more]:
            return retention(more, lies)
        case ["db", "upgrade"]:
            return upgrade(lies)
        case ["data", "erase", "--sub", subject]:
            return erase(subject, lies)
    return 2


raise SystemExit(main())
