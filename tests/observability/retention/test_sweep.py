import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.observability.retention.trees import DAY, age, count, descriptors, fill, make, planned, swapping, unhurried
from voxgate_core import ManualClock
from voxgate_observability.retention.budget import TELL_SECONDS, Budget
from voxgate_observability.retention.policy import FilePolicy
from voxgate_observability.retention.sweep import Removed, sweep
from voxgate_observability.retention.tree import MAX_DESCRIPTORS, MAX_ERRORS


def policy(root: Path, **settings: object) -> FilePolicy:
    base = FilePolicy("p", str(root), recursive=True, max_age=DAY, max_share=1.0, remove_empty_directories=True)
    return replace(base, **settings)  # type: ignore[arg-type]


def swept(rules: FilePolicy, meanwhile: Callable[[], object] = lambda: None) -> Removed:
    """What went, where ``meanwhile`` happens between the plan and the sweep."""
    tree, plan = planned(rules)
    with tree:
        meanwhile()
        return sweep(tree, plan, unhurried(), "p")


def test_what_is_planned_goes_and_the_rest_stays(tmp_path: Path) -> None:
    make(tmp_path / "a" / "old", content=b"123")
    make(tmp_path / "b" / "old", content=b"4567")
    make(tmp_path / "b" / "new", days=0.5)
    age(tmp_path / "a", 10)
    assert swept(policy(tmp_path)) == Removed(files=2, bytes=7, directories=1)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["b", "b/new"]


@pytest.mark.parametrize("change", [
    lambda file: file.write_bytes(b"longer"),
    lambda file: age(file, 9),
    lambda file: (file.rename(file.with_name("kept")), make(file)),
])  # fmt: skip
def test_a_file_that_changed_since_the_plan_stays(tmp_path: Path, change: Callable[[Path], object]) -> None:
    file = make(tmp_path / "old")
    assert swept(policy(tmp_path), lambda: change(file)) == Removed(changed=1)
    assert file.exists()


def test_a_file_replaced_by_a_link_stays(tmp_path: Path) -> None:
    precious = make(tmp_path / "outside")
    file = make(tmp_path / "in" / "old")

    def replace_by_link() -> None:
        file.unlink()
        file.symlink_to(precious)

    assert swept(policy(tmp_path / "in"), replace_by_link).changed == 1
    assert file.is_symlink()
    assert precious.exists()


def test_a_file_that_is_gone_already_is_no_fault(tmp_path: Path) -> None:
    file = make(tmp_path / "old")
    assert swept(policy(tmp_path), file.unlink) == Removed(gone=1)


def test_directories_swapped_for_links_lead_nowhere(tmp_path: Path) -> None:
    inside, outside, aside = tmp_path / "in", tmp_path / "out", tmp_path / "aside"
    # More than stay open at once, so that most must be opened again, by a name that is a link by then.
    fill(inside, 300, 2)
    fill(outside, 300, 2)
    aside.mkdir()

    def swap() -> None:
        for directory in sorted(inside.iterdir()):
            directory.rename(aside / directory.name)
            directory.symlink_to(outside / directory.name)

    removed = swept(policy(inside), swap)
    assert count(outside) == 600
    assert removed.changed >= 2 * (300 - MAX_DESCRIPTORS)
    assert count(aside) == 600 - removed.files


def test_a_link_goes_only_if_told_and_never_its_target(tmp_path: Path) -> None:
    precious = make(tmp_path / "outside")
    link = tmp_path / "in" / "link"
    link.parent.mkdir()
    link.symlink_to(precious)
    age(link, 10)
    assert swept(policy(tmp_path / "in")).files == 0
    assert swept(policy(tmp_path / "in", remove_symlinks=True)).files == 1
    assert not link.is_symlink()
    assert precious.exists()


def test_bytes_come_back_with_the_last_name_only(tmp_path: Path) -> None:
    file = make(tmp_path / "in" / "a", content=b"12345")
    os.link(file, tmp_path / "in" / "b")
    assert swept(policy(tmp_path / "in")) == Removed(files=2, bytes=5)
    other = make(tmp_path / "in" / "c", content=b"12345")
    os.link(other, tmp_path / "kept")
    assert swept(policy(tmp_path / "in")) == Removed(files=1, bytes=0)


def test_a_directory_that_something_was_put_into_stays(tmp_path: Path) -> None:
    make(tmp_path / "a" / "old")
    age(tmp_path / "a", 10)
    assert swept(policy(tmp_path), lambda: make(tmp_path / "a" / "new")) == Removed(files=1, bytes=1, changed=1)
    assert (tmp_path / "a" / "new").exists()


def test_a_sweep_ends_at_the_next_file_and_tells_progress(tmp_path: Path) -> None:
    fill(tmp_path, 2, 2000)
    tree, plan = planned(policy(tmp_path))
    clock, told = ManualClock(), list[str]()

    def tell(line: str) -> None:
        told.append(line)
        budget.stop("enough")

    budget = Budget(clock, 60, tell)
    clock.advance(TELL_SECONDS)
    with tree:
        removed = sweep(tree, plan, budget, "p")
    assert told == ["p: 0 of 4,000 files removed"]
    assert removed == Removed()
    assert count(tmp_path) == 4000


def test_links_swapped_in_by_another_process_cost_nothing_outside(tmp_path: Path) -> None:
    inside, outside, aside = tmp_path / "in", tmp_path / "out", tmp_path / "aside"
    fill(inside, 20, 50)
    fill(outside, 20, 50)
    aside.mkdir()
    with swapping(inside, outside, aside) as swaps:
        for _ in range(3):
            swept(policy(inside, remove_empty_directories=False))
    assert swaps[0] > 0
    assert count(outside) == 1000


def test_what_can_not_be_removed_is_told_and_ends_nothing(tmp_path: Path) -> None:
    fill(tmp_path, 300, 1)
    tree, plan = planned(policy(tmp_path))
    with tree:
        with descriptors(0):
            removed = sweep(tree, plan, unhurried(), "p")
        assert removed.files == MAX_DESCRIPTORS
        assert tree.listing.skipped["errors"] == 300 - MAX_DESCRIPTORS
        assert len(tree.listing.errors) == MAX_ERRORS
        assert all(error.endswith("/f00000.wav: Too many open files") for error in tree.listing.errors)


def test_a_directory_that_is_gone_or_another_by_then_is_left(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        age(tmp_path / "in" / name, 10)

    def change() -> None:
        (tmp_path / "in" / "a").rmdir()
        (tmp_path / "in" / "b").rename(tmp_path / "kept")
        (tmp_path / "in" / "b").mkdir()

    assert swept(policy(tmp_path / "in"), change) == Removed(changed=1, gone=1)
    assert (tmp_path / "in" / "b").is_dir()


def test_a_sweep_that_was_stopped_removes_no_directories(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    age(tmp_path / "a", 10)
    tree, plan = planned(policy(tmp_path))
    budget = unhurried()
    budget.stop("enough")
    with tree:
        assert sweep(tree, plan, budget, "p") == Removed()
    assert plan.directories == (1,)
