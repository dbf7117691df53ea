"""One page for each package: what it offers to those who import it alone, from its own docstrings by mkdocstrings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reference_pages.markdown import heading, table

__all__ = ["api_index", "api_page", "packages"]

ROOT: Final = Path(__file__).resolve().parents[3]


def packages() -> list[str]:
    """The names of the packages, in order."""
    return sorted(path.parent.name for path in (ROOT / "packages").glob("*/pyproject.toml"))


def api_index() -> Iterator[str]:
    """What there is to import."""
    yield from heading("Packages")
    yield "Each package installs and imports alone. What is not on its page is its own business and may change."
    yield ""
    yield from table(
        ("package", "what it is"), ((f"[`voxgate_{name}`]({name}.md)", _summary(name)) for name in packages())
    )


def api_page(name: str) -> Iterator[str]:
    """The directive that mkdocstrings replaces when the site is built."""
    yield from heading(f"voxgate_{name}")
    yield f"::: voxgate_{name}"


def _summary(name: str) -> str:
    source = (ROOT / "packages" / name / "src" / f"voxgate_{name}" / "__init__.py").read_text("utf-8")
    return source.removeprefix('"""').partition('"""')[0].partition("\n")[0]
