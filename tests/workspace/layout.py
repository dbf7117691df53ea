"""How the tests of the layout see the repository: its packages, their modules, and the files git would keep."""

import ast
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["PACKAGES", "PYPROJECT", "ROOT", "Package", "kept_files", "parse", "requirement_name"]

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@dataclass(frozen=True)
class Package:
    """One distribution of the workspace, read from disk."""

    name: str

    @property
    def path(self) -> Path:
        return ROOT / "packages" / self.name

    @property
    def distribution(self) -> str:
        return f"voxgate-{self.name}"

    @property
    def module(self) -> str:
        return f"voxgate_{self.name}"

    @property
    def source(self) -> Path:
        return self.path / "src" / self.module

    @property
    def pyproject(self) -> dict[str, Any]:
        return tomllib.loads((self.path / "pyproject.toml").read_text("utf-8"))

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The requirements of a plain install, as they are written."""
        return tuple(self.pyproject["project"]["dependencies"])

    @property
    def optional_dependencies(self) -> tuple[str, ...]:
        extras: dict[str, list[str]] = self.pyproject["project"].get("optional-dependencies", {})
        return tuple(requirement for extra in extras.values() for requirement in extra)

    @property
    def modules(self) -> tuple[Path, ...]:
        return tuple(sorted(self.source.rglob("*.py")))

    def dotted(self, path: Path) -> str:
        """The import name of one of :attr:`modules`."""
        parts = path.relative_to(self.path / "src").with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PACKAGES = tuple(Package(path.parent.name) for path in sorted((ROOT / "packages").glob("*/pyproject.toml")))


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def requirement_name(requirement: str) -> str:
    """The normalised distribution name (PEP 503) at the head of a requirement (PEP 508)."""
    end = next((place for place, letter in enumerate(requirement) if letter in "[<>=!~;@ ("), len(requirement))
    return requirement[:end].lower().replace("_", "-").replace(".", "-")


@cache
def kept_files() -> tuple[Path, ...]:
    """What the next commit could hold: tracked files, and new ones that .gitignore does not name."""
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    paths = (ROOT / name for name in sorted(set(listed.split("\0"))) if name)
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())
