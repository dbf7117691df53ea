"""What every page needs: its notice, and tables."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

__all__ = ["NOTICE", "cell", "code", "heading", "table"]

NOTICE: Final = "<!-- Written by docs/tools/reference.py from the code: change the code, then run the script. -->"


def heading(title: str) -> Iterator[str]:
    """The first lines of a page."""
    yield f"# {title}"
    yield ""
    yield NOTICE
    yield ""


def cell(text: str) -> str:
    """Text that stands in one cell of a table."""
    return " ".join(text.split()).replace("|", chr(92) + "|")


def code(text: str) -> str:
    """``text`` as code in a cell. Where it has a bar, no Markdown means the same on the site and on GitHub: HTML does."""
    return f"<code>{escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table, line by line."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join('---' for _ in header)}|"
    for row in rows:
        yield f"| {' | '.join(cell(text) for text in row)} |"
