"""The project's own folder: what the docs gate judges."""

import importlib.util
from pathlib import Path
from typing import Final

__all__ = ["MARKS", "find_project", "has_site_tools"]

MARKS: Final = ("pyproject.toml", "mkdocs.yml", "docs")
"""What a folder holds that is taken for the project without being named."""


def find_project(named: Path | None, here: Path = Path()) -> Path | None:
    """The folder that was named, else the working directory where it looks like a project, else ``None``."""
    if named is not None:
        return named.resolve()
    return here.resolve() if all((here / mark).exists() for mark in MARKS) else None


def has_site_tools() -> bool:
    """Whether this Python can build a site: mkdocs and its theme are installed beside the gates."""
    return all(importlib.util.find_spec(name) is not None for name in ("mkdocs", "material"))
