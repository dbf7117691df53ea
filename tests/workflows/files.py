"""The workflows as data."""

from pathlib import Path
from typing import Any

import yaml

__all__ = ["FOLDER", "ROOT", "WORKFLOWS", "jobs_of", "read", "steps_of"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = tuple(sorted(path.name for path in FOLDER.glob("*.yml")))


def read(name: str) -> dict[str, Any]:
    workflow: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    return workflow


def jobs_of(name: str) -> dict[str, Any]:
    jobs: dict[str, Any] = read(name)["jobs"]
    return jobs


def steps_of(name: str) -> list[dict[str, Any]]:
    return [step for job in jobs_of(name).values() for step in job["steps"]]
