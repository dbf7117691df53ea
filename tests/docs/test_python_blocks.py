"""Every Python block of the documentation runs. A block that includes an example's file is tested as that file."""

from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from tests.docs.pages import DOCS, ROOT

PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
INCLUDED = '--8<-- "docs/examples/'


def blocks(page: Path) -> list[object]:
    text = page.read_text("utf-8")
    document = Sybil(parsers=[PythonCodeBlockParser()], path=str(page.parent)).parse(page)
    return [
        example for example in document.examples() if INCLUDED not in text[example.region.start : example.region.end]
    ]


WITH_BLOCKS = [page for page in PAGES if blocks(page)]


def test_there_are_some() -> None:
    assert {page.name for page in WITH_BLOCKS} >= {"README.md", "quickstart.md"}


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_they_run(page: Path) -> None:
    for example in blocks(page):
        example.evaluate()  # type: ignore[attr-defined]


def test_every_file_that_a_page_includes_is_there() -> None:
    for page in PAGES:
        for line in page.read_text("utf-8").splitlines():
            if line.startswith("--8<-- "):
                assert (ROOT / line.split('"')[1]).is_file(), f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_file_that_a_page_includes_is_named_above_it(page: Path) -> None:
    """A code host shows the line alone; the runbook says instead where each file goes on a server."""
    text = page.read_text("utf-8")
    for line in text.splitlines():
        if line.startswith("--8<-- ") and page.name != "OPS_RUNBOOK.md":
            name = Path(line.split('"')[1])
            before = text.partition(line)[0].rpartition("```")[0].rpartition("```")[2]
            assert f"`{name}`" in before or (f"`{name.name}`" in before and f"`{name.parent}`" in before), line
