"""Writes a run's files: each appears whole or not at all."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from voxgate_gates.report.document import report_json
from voxgate_gates.report.html import report_html
from voxgate_gates.report.junit import junit_xml
from voxgate_gates.report.summary import summary_markdown
from voxgate_gates.result import RunReport

__all__ = ["REPORT_DIR", "STEP_SUMMARY", "write_reports", "write_whole"]

REPORT_DIR: Final = Path("build/gates")

STEP_SUMMARY: Final = "GITHUB_STEP_SUMMARY"
"""The variable in which GitHub Actions names the file that a step's summary is appended to."""


def write_reports(report: RunReport, folder: Path, environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Write ``report.html``, ``report.json``, ``junit.xml`` and ``summary.md``; the paths. Raises ``OSError`` when it can't."""
    folder.mkdir(parents=True, exist_ok=True)
    summary = summary_markdown(report)
    written = []
    texts = {
        "report.html": report_html(report),
        "report.json": report_json(report),
        "junit.xml": junit_xml(report),
        "summary.md": summary,
    }
    for name, text in texts.items():
        path = folder / name
        write_whole(path, text)
        written.append(path)
    step_summary = environment.get(STEP_SUMMARY)
    if step_summary:
        with Path(step_summary).open("a", encoding="utf-8", errors="backslashreplace") as appended:
            appended.write(summary + "\n")
    return tuple(written)


def write_whole(path: Path, text: str) -> None:
    """Put a file there at once, or not at all. Raises ``OSError``."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
