import os
from pathlib import Path

import pytest

from tests.observability.retention.trees import age, descriptors, make, unhurried
from voxgate_core import ManualClock
from voxgate_observability.retention import tree as tree_module
from voxgate_observability.retention.budget import Budget
from voxgate_observability.retention.listing import EntryKind, Listing
from voxgate_observability.retention.policy import FilePolicy, Policy, RecordKind, RecordPolicy
from voxgate_observability.retention.tree import MAX_DEPTH, Tree, open_directory, path_faults


def read(policy: FilePolicy, budget: Budget | None = None) -> Listing:
    with Tree(policy.path, budget or unhurried()) as tree:
        return tree.read(policy)


def paths(listing: Listing) -> set[bytes]:
    return {entry.path for entry in listing}


def test_entries_are_noted_with_what_they_are(tmp_path: Path) -> None:
    file = make(tmp_path / "a" / "file.wav", content=b"12345")
    os.link(file, tmp_path / "twin.wav")
    (tmp_path / "link.wav").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe.wav")
    listing = read(FilePolicy("p", str(tmp_path), recursive=True))
    found = {entry.path: entry for entry in listing}
    status = file.stat()
    assert {path: entry.kind for path, entry in found.items()} == {
        b"a/file.wav": EntryKind.FILE,
        b"twin.wav": EntryKind.FILE,
        b"link.wav": EntryKind.SYMLINK,
        b"pipe.wav": EntryKind.OTHER,
    }
    entry = found[b"a/file.wav"]
    assert (entry.device, entry.inode, entry.size, entry.mtime_ns, entry.links) == (
        status.st_dev, status.st_ino, 5, status.st_mtime_ns, 2,
    )  # fmt: skip
    assert [directory.children for directory in listing.directories] == [4, 1]


def test_only_names_that_fit_are_noted_and_below_only_if_told(tmp_path: Path) -> None:
    for name in ("a.log", "a.txt", "sub/b.log"):
        make(tmp_path / name)
    assert paths(read(FilePolicy("p", str(tmp_path), "*.log"))) == {b"a.log"}
    assert paths(read(FilePolicy("p", str(tmp_path), "*.log", recursive=True))) == {b"a.log", b"sub/b.log"}


def test_a_link_to_a_directory_is_not_followed(tmp_path: Path) -> None:
    make(tmp_path / "outside" / "precious")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "outside")
    assert paths(read(FilePolicy("p", str(tmp_path / "in"), recursive=True))) == {b"link"}


def test_names_that_are_no_text_are_kept_as_they_are(tmp_path: Path) -> None:
    make(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.wav")))
    assert paths(read(FilePolicy("p", str(tmp_path)))) == {b"\xff\n.wav"}


@pytest.mark.parametrize("path", ["link", "link/below", "real/file"])
def test_a_path_with_a_link_or_a_file_in_it_is_not_opened(tmp_path: Path, path: str) -> None:
    (tmp_path / "real" / "below").mkdir(parents=True)
    make(tmp_path / "real" / "file")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(NotADirectoryError):
        open_directory(str(tmp_path / path))
    policies: list[Policy] = [
        FilePolicy("a", str(tmp_path / path)),
        FilePolicy("b", str(tmp_path / "real" / "below")),
        FilePolicy("c", str(tmp_path / "absent")),
        RecordPolicy("d", RecordKind.AUDIT, 1),
    ]
    (fault,) = path_faults(policies)
    assert "policies.a" in fault
    assert "realpath" in fault


def test_a_directory_put_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "t" / "a" / "b" / "file")
    with Tree(str(tmp_path / "t"), unhurried()) as tree:
        tree.read(FilePolicy("p", str(tmp_path / "t"), recursive=True))
        fresh = Tree(str(tmp_path / "t"), unhurried())
        fresh.listing.directories = tree.listing.directories
        (tmp_path / "t" / "a").rename(tmp_path / "kept")
        make(tmp_path / "t" / "a" / "b" / "file")
        with fresh, pytest.raises(OSError, match="another directory"):
            fresh.open(2)


def test_descriptors_stay_few_and_are_all_closed(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"d{number}" / "e").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    with Tree(str(tmp_path), unhurried()) as tree:
        listing = tree.read(FilePolicy("p", str(tmp_path), recursive=True))
        assert len(listing.directories) == 601
        assert len(os.listdir("/proc/self/fd")) - before <= tree_module.MAX_DESCRIPTORS + 1
        for index in range(601):
            assert os.fstat(tree.open(index)).st_ino == listing.directories[index].inode
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_lies_too_deep_is_left_and_told(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (MAX_DEPTH + 1))
    make(deep / "file")
    make(deep.parent / "last")
    listing = read(FilePolicy("p", str(tmp_path), recursive=True))
    assert [path.rsplit(b"/", 1)[1] for path in paths(listing)] == [b"last"]
    assert listing.skipped["too_deep"] == 1


def test_a_listing_ends_when_time_is_up_and_says_so(tmp_path: Path) -> None:
    for number in range(2000):
        age(make(tmp_path / f"f{number}"), 1)
    clock = ManualClock()
    budget = Budget(clock, 10, lambda line: None)
    clock.advance(10)
    listing = read(FilePolicy("p", str(tmp_path)), budget)
    assert not listing.is_whole
    assert len(listing) < 2000
    assert budget.why is not None


def test_a_directory_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    make(tmp_path / "t" / "shut" / "file")
    with Tree(str(tmp_path / "t"), unhurried()) as tree, descriptors(1):
        listing = tree.read(FilePolicy("p", str(tmp_path / "t"), recursive=True))
    assert listing.errors == ["shut/: Too many open files"]
    assert listing.skipped["errors"] == 1
    assert not listing.directories[1].is_listed


def test_a_directory_that_is_gone_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with Tree(str(tmp_path), unhurried()) as tree:
        tree.listing.add_directory(0, b"gone", 1, 0)
        with pytest.raises(FileNotFoundError):
            tree.open(1)


@pytest.mark.parametrize("bound", [{"max_entries": 3}, {"max_directories": 2}])
def test_a_listing_past_its_bounds_is_cut_short_and_says_so(tmp_path: Path, bound: dict[str, int]) -> None:
    for name in ("a", "b", "c", "d", "x/e", "y/f"):
        make(tmp_path / name)
    with Tree(str(tmp_path), unhurried(), **bound) as tree:
        listing = tree.read(FilePolicy("p", str(tmp_path), recursive=True))
    assert not listing.is_whole
    assert len(listing) <= 6
    assert len(listing.directories) <= 3
