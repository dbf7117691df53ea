"""What the documents outside the site promise: their links lead somewhere, their commands exist."""

import ast
import re
from pathlib import Path

import pytest

from tests.workspace.layout import PYPROJECT, ROOT, kept_files, parse

DOCUMENTS = [path for path in kept_files() if path.suffix == ".md"]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
SESSIONS_NAMED = re.compile(r"nox -s (?:\"([^\"]+)\"|((?:[a-z_]+ ?)+))")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS])


def sessions() -> set[str]:
    functions = (node for node in parse(ROOT / "noxfile.py").body if isinstance(node, ast.FunctionDef))
    return {function.name for function in functions if function.decorator_list}


@documents
def test_every_relative_link_leads_to_a_file(path: Path) -> None:
    prose = FENCE.sub("", path.read_text("utf-8"))
    for target in LINK.findall(prose):
        assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} links to {target}, which is not there"


@documents
def test_every_session_named_in_a_command_exists(path: Path) -> None:
    for quoted, plain in SESSIONS_NAMED.findall(path.read_text("utf-8")):
        for name in (quoted or plain).split():
            assert name.partition("(")[0] in sessions(), f"{path.relative_to(ROOT)}: there is no nox session {name}"


@documents
def test_no_figure_is_left_to_be_filled_in(path: Path) -> None:
    assert re.findall(r"@[A-Z]+@", path.read_text("utf-8")) == []


def test_every_changelog_fragment_can_be_collected() -> None:
    settings = PYPROJECT["tool"]["scriv"]
    fragments = sorted((ROOT / settings["fragment_directory"]).glob("2*.md"))
    for fragment in fragments:
        headings = re.findall(r"^### (.+)$", fragment.read_text("utf-8"), re.MULTILINE)
        assert headings, f"changelog.d/{fragment.name}: put its bullets below a heading such as ### Fixed"
        assert set(headings) <= set(settings["categories"]), f"changelog.d/{fragment.name}: unknown category"


def test_the_changelog_has_the_place_where_releases_are_inserted() -> None:
    assert "<!-- scriv-insert-here -->" in (ROOT / PYPROJECT["tool"]["scriv"]["changelog"]).read_text("utf-8")


def test_every_decision_is_numbered_in_turn_and_listed() -> None:
    folder = ROOT / "docs" / "adr"
    records = sorted(path.name for path in folder.glob("0*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    index = (folder / "index.md").read_text("utf-8")
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for name in records:
        assert f"({name})" in index, f"list {name} in docs/adr/index.md"
        assert f"adr/{name}" in navigation, f"list {name} in mkdocs.yml"
        text = (folder / name).read_text("utf-8")
        for heading in ("## Context and problem statement", "## Considered options", "## Decision outcome"):
            assert heading in text, f"docs/adr/{name} lacks {heading}"
