"""Does what a plan decided, one entry at a time, and leaves whatever is no longer what was planned.

Right before an entry goes, its device, inode, kind, size and time are looked at again through the descriptor of its
directory. Linux has no call that removes a name only while it stands for a given inode, so a file that takes a name in
the microseconds between the look and the removal goes with it. It can't lie outside the tree.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final

from voxgate_observability.retention.budget import LOOK_EVERY, Budget
from voxgate_observability.retention.plan import Amount, Plan
from voxgate_observability.retention.tree import Tree

__all__ = ["BATCH", "Removed", "sweep"]

BATCH: Final = 65_536
"""Files that go together, sorted by directory. Each batch is older than the next; within one the order is open."""

CHANGED: Final = (errno.ELOOP, errno.ENOTDIR, errno.ESTALE, errno.ENOTEMPTY, errno.EEXIST)
"""A link or file in the place of a directory, another directory, or one that something was put into."""


@dataclass(slots=True)
class Removed:
    """What went, ``bytes`` being those the disk got back; what had changed since the plan; what was gone already."""

    files: int = 0
    bytes: int = 0
    directories: int = 0
    changed: int = 0
    gone: int = 0

    @property
    def amount(self) -> Amount:
        return Amount(self.files, self.bytes)


def sweep(tree: Tree, plan: Plan, budget: Budget, name: str) -> Removed:
    """Remove what ``plan`` decided in the tree it was made from. Faults go to the listing's errors; none is raised."""
    removed = Removed()
    _sweep_files(tree, plan, budget, name, removed)
    for index in plan.directories:
        if budget.why is not None:
            break
        budget.look(lambda: f"{name}: {removed.directories:,} directories removed")
        _sweep_directory(tree, index, removed)
    return removed


def _sweep_files(tree: Tree, plan: Plan, budget: Budget, name: str, removed: Removed) -> None:
    place_of = plan.listing.places.__getitem__
    for start in range(0, plan.going, BATCH):
        batch = sorted(plan.order[start : min(start + BATCH, plan.going)], key=place_of)
        for place, indexes in groupby(batch, key=place_of):
            while chunk := list(islice(indexes, LOOK_EVERY)):
                budget.look(lambda: f"{name}: {removed.files:,} of {plan.going:,} files removed")
                if budget.why is not None:
                    return
                _sweep_chunk(tree, place, chunk, budget, removed)


def _sweep_chunk(tree: Tree, place: int, indexes: Sequence[int], budget: Budget, removed: Removed) -> None:
    """Files of one directory."""
    listing = tree.listing
    inodes, mtimes, sizes, device, name_of = listing.inodes, listing.mtimes, listing.sizes, listing.device, listing.name
    stat, unlink = os.stat, os.unlink
    try:
        parent = tree.open(place)
    except OSError as error:
        for index in indexes:
            _note(tree, listing.path(index), error, removed)
        return
    for index in indexes:
        if budget.why is not None:
            return
        name = name_of(index)
        try:
            status = stat(name, dir_fd=parent, follow_symlinks=False)
            # The kind needs no look: an inode never changes what it is, and one used anew has another time.
            if (
                status.st_ino != inodes[index]
                or status.st_mtime_ns != mtimes[index]
                or status.st_size != sizes[index]
                or status.st_dev != device
            ):
                removed.changed += 1
                continue
            unlink(name, dir_fd=parent)
        except OSError as error:
            _note(tree, listing.path(index), error, removed)
            continue
        removed.files += 1
        if status.st_nlink == 1:
            removed.bytes += status.st_size


def _sweep_directory(tree: Tree, index: int, removed: Removed) -> None:
    directory = tree.listing.directories[index]
    try:
        parent = tree.open(directory.parent)
        status = os.stat(directory.name, dir_fd=parent, follow_symlinks=False)
        if (status.st_ino, status.st_dev) != (directory.inode, tree.listing.device):
            removed.changed += 1
            return
        os.rmdir(directory.name, dir_fd=parent)
    except OSError as error:
        _note(tree, tree.listing.directory_path(index), error, removed)
    else:
        removed.directories += 1


def _note(tree: Tree, path: bytes, error: OSError, removed: Removed) -> None:
    if error.errno == errno.ENOENT:
        removed.gone += 1
    elif error.errno in CHANGED:
        removed.changed += 1
    else:
        tree.note(path, error)
