import importlib.util
from types import ModuleType

import pytest

from tests.workspace.layout import ROOT
from voxgate_gates import ALL_CHECKS

DOCS = ROOT / "docs"
SCRIPT = DOCS / "tools" / "reference.py"
ADVICE = "run python docs/tools/reference.py"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_written_pages_are_the_ones_the_code_gives_today(reference: ModuleType) -> None:
    committed = {str(page.relative_to(DOCS)) for folder in reference.FOLDERS for page in (DOCS / folder).glob("*.md")}
    assert committed == set(reference.pages()), ADVICE


def test_every_written_page_says_what_the_code_says_today(reference: ModuleType) -> None:
    for path, text in reference.pages().items():
        assert (DOCS / path).read_text("utf-8") == text, f"docs/{path} is stale: {ADVICE}"


def test_every_page_a_report_points_to_is_there() -> None:
    for check in ALL_CHECKS:
        assert (ROOT / f"{check.docs}.md").is_file(), f"no page for {check.docs}: {ADVICE}"
