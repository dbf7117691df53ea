"""Writes the copies that the shim carries of what Python holds, so that `php_shim/src` works when it is deployed alone.

`.venv/bin/python php_shim/tools/sync.py`; a test compares the copies with `wanted()`.
"""

import json
from pathlib import Path

from voxgate_core import ERRORS

__all__ = ["DATA", "main", "wanted"]

ROOT = Path(__file__).resolve().parents[2]
RESPONDER = ROOT / "packages" / "responder" / "src" / "voxgate_responder"
DATA = ROOT / "php_shim" / "src" / "data"


def wanted() -> dict[str, bytes]:
    """Every file below :data:`DATA`, by its path there."""
    rows = {code: {"status": kind.status, "title": kind.title} for code, kind in ERRORS.items()}
    files = {
        "errors.json": f"{json.dumps(rows, indent=2)}\n".encode(),
        "security_headers.json": (RESPONDER / "security_headers.json").read_bytes(),
    }
    for path in sorted((RESPONDER / "endpoints").glob("*.json")):
        files[path.name] = path.read_bytes()
    for path in sorted((RESPONDER / "schemas").glob("*.json")):
        files[f"schemas/{path.name}"] = path.read_bytes()
    return files


def main() -> None:
    """Make the folder what it should be."""
    files = wanted()
    for path in DATA.rglob("*.json"):
        if path.relative_to(DATA).as_posix() not in files:
            path.unlink()
    for name, content in files.items():
        path = DATA / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
