"""One page for each package: what it offers to those who import it alone, from its own docstrings by mkdocstrings."""

from collections.abc import Iterator
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import Final

from reference_pages.markdown import heading, table

__all__ = ["api_index", "api_page", "packages", "public_names"]

PACKAGES: Final = Path(__file__).resolve().parents[3] / "packages"


def packages() -> list[str]:
    """The names of the packages, in order."""
    return sorted(path.parent.name for path in PACKAGES.glob("*/pyproject.toml"))


def public_names(name: str) -> list[str]:
    """What a package offers, without its version."""
    return sorted(set(import_module(f"voxgate_{name}").__all__) - {"__version__"})


def api_index() -> Iterator[str]:
    """What there is to import."""
    yield from heading("Packages")
    yield "Each package installs and imports alone. What is not on its page is its own business and may change."
    yield ""
    yield from table(
        ("package", "what it is"), ((f"[`voxgate_{name}`]({name}.md)", _summary(name)) for name in packages())
    )


def api_page(name: str) -> Iterator[str]:
    """The directives that mkdocstrings replaces when the site is built."""
    yield from heading(f"voxgate_{name}")
    yield f"::: voxgate_{name}"
    yield "    options:"
    yield "      members:"
    names = public_names(name)
    # Static analysis finds the module of that name in the package's place for it.
    hidden = [each for each in names if (PACKAGES / name / "src" / f"voxgate_{name}" / f"{each}.py").is_file()]
    yield from (f"        - {each}" for each in names if each not in hidden)
    for each in hidden:
        yield ""
        yield f"::: voxgate_{name}.{each}.{each}"
        yield "    options:"
        yield f"      heading: {each}"
        yield f"      toc_label: {each}"
        yield "      show_root_heading: true"
        yield "      show_root_toc_entry: true"


def _summary(name: str) -> str:
    return (getdoc(import_module(f"voxgate_{name}")) or "").partition("\n")[0].replace("``", "`")
