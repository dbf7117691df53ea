"""The promise in full: 100,000 files, and another process that swaps their directories for links all the while.

How often the two meet is chance; that a link is refused when they do is held by ``test_sweep``, where nothing is.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.observability.retention.trees import DAY, count, fill, planned, swapping, unhurried
from voxgate_observability.retention.policy import FilePolicy
from voxgate_observability.retention.sweep import sweep

DIRECTORIES = 200
FILES = 500


@pytest.fixture
def place() -> Iterator[Path]:
    """In memory where there is such a file system: 200,000 files are made and removed."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder).resolve()


def test_of_100_000_files_under_attack_none_outside_is_lost(place: Path) -> None:
    inside, outside, aside = place / "in", place / "out", place / "aside"
    fill(inside, DIRECTORIES, FILES)
    fill(outside, DIRECTORIES, FILES)
    aside.mkdir()
    rules = FilePolicy(
        "p", str(inside), recursive=True, max_age=DAY, max_share=1.0, remove_empty_directories=True
    )  # fmt: skip
    removed = 0
    with swapping(inside, outside, aside) as swaps:
        # What is swapped away at the wrong moment is left to a later run; under attack a few are enough for most of it.
        for _ in range(4):
            tree, plan = planned(rules)
            with tree:
                removed += sweep(tree, plan, unhurried(), "p").files
    assert swaps[0] > 1000
    assert count(outside) == DIRECTORIES * FILES
    assert removed + count(inside) + count(aside) == DIRECTORIES * FILES
    assert removed > 0
