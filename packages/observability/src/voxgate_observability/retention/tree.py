"""Walks a directory tree by descriptors, so that nobody who may rename in it can lead the walk out of it.

Every directory is opened by its name inside its parent's descriptor, with ``O_NOFOLLOW``, and must be the inode that
was listed, on the device of the root. A path is used once, for the root, and there no part may be a symbolic link.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Iterable
from stat import S_IFLNK, S_IFMT, S_IFREG
from types import TracebackType
from typing import Final, Self

from voxgate_observability.retention.budget import LOOK_EVERY, Budget
from voxgate_observability.retention.listing import ROOT, EntryKind, Listing, shown
from voxgate_observability.retention.policy import FilePolicy, Policy

__all__ = [
    "MAX_DEPTH",
    "MAX_DESCRIPTORS",
    "MAX_DIRECTORIES",
    "MAX_ENTRIES",
    "MAX_ERRORS",
    "Tree",
    "open_directory",
    "path_faults",
]

MAX_ENTRIES: Final = 4_000_000
"""Entries listed for one policy, about 250 MB and as much again to sort them. More are left to a later run."""

MAX_DIRECTORIES: Final = 250_000
"""Directories listed for one policy, about 70 MB. More are left to a later run."""

MAX_DEPTH: Final = 100
"""Levels below the root; deeper directories are left and reported."""

MAX_DESCRIPTORS: Final = 128
"""Directories kept open at once, of the 1,024 descriptors a process usually has."""

MAX_ERRORS: Final = 20
"""Faults described in full for one policy. The rest are counted."""

_KINDS: Final = {S_IFREG: EntryKind.FILE, S_IFLNK: EntryKind.SYMLINK}

_OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASS_DIRECTORY: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_directory(path: str) -> int:
    """Open an absolute path, no part of which is a symbolic link. Raises ``OSError``.

    ``ELOOP`` and ``ENOTDIR`` stand for a part that is a link or no directory.
    """
    parts = [part for part in path.split("/") if part]
    descriptor = os.open("/", _PASS_DIRECTORY)
    for number, part in enumerate(parts, 1):
        flags = _OPEN_DIRECTORY if number == len(parts) else _PASS_DIRECTORY
        try:
            below = os.open(part, flags, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def path_faults(policies: Iterable[Policy]) -> list[str]:
    """A sentence for each policy whose path is no real directory. One that does not exist yet is none."""
    faults = []
    for policy in policies:
        if not isinstance(policy, FilePolicy):
            continue
        try:
            os.close(open_directory(policy.path))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                faults.append(
                    f"policies.{policy.name}: path {policy.path!r} is, or leads through, a symbolic link or a file:"
                    f" name the directory itself, as `realpath` prints it"
                )
    return faults


class Tree:
    """The tree below one absolute path, held by its descriptor until closed. Raises ``OSError`` where it can't be."""

    def __init__(
        self, path: str, budget: Budget, *, max_entries: int = MAX_ENTRIES, max_directories: int = MAX_DIRECTORIES
    ) -> None:
        self._budget = budget
        self._max_entries = max_entries
        self._max_directories = max_directories
        self._root = open_directory(path)
        self._open: OrderedDict[int, int] = OrderedDict()
        status = os.fstat(self._root)
        self.listing = Listing(status.st_dev, status.st_ino, status.st_mtime_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in (*self._open.values(), self._root):
            os.close(descriptor)

    def open(self, index: int) -> int:
        """A descriptor of a listed directory, good until the next call. Raises ``OSError``:
        ``ESTALE`` where another directory has taken its place.
        """
        if index == ROOT:
            return self._root
        if index in self._open:
            self._open.move_to_end(index)
            return self._open[index]
        directory = self.listing.directories[index]
        descriptor = os.open(directory.name, _OPEN_DIRECTORY, dir_fd=self.open(directory.parent))
        status = os.fstat(descriptor)
        if (status.st_ino, status.st_dev) != (directory.inode, self.listing.device):
            os.close(descriptor)
            raise OSError(errno.ESTALE, "another directory has taken its place")
        self._open[index] = descriptor
        if len(self._open) > MAX_DESCRIPTORS:
            _, eldest = self._open.popitem(last=False)
            os.close(eldest)
        return descriptor

    def read(self, policy: FilePolicy) -> Listing:
        """Note everything that ``policy`` is about. What can't be read is noted among the listing's errors."""
        listing = self.listing
        waiting = [(ROOT, 0)]
        while waiting and self._budget.why is None:
            index, depth = waiting.pop()
            self._budget.look(lambda: f"{policy.name}: {len(listing):,} entries listed")
            try:
                found = self._list_directory(index, policy)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.ESTALE):
                    listing.skipped["changed"] += 1
                else:
                    self.note(listing.directory_path(index), error)
                continue
            if depth < MAX_DEPTH:
                waiting += [(below, depth + 1) for below in found]
            elif found:
                listing.skipped["too_deep"] += len(found)
        listing.is_whole = listing.is_whole and self._budget.why is None
        return listing

    def note(self, path: bytes, error: OSError) -> None:
        """Write an error down."""
        listing = self.listing
        listing.skipped["errors"] += 1
        if len(listing.errors) < MAX_ERRORS:
            listing.errors.append(f"{shown(path) or '.'}: {error.strerror}")

    def _list_directory(self, index: int, policy: FilePolicy) -> list[int]:
        listing, budget = self.listing, self._budget
        device, add = listing.device, listing.add
        fits, is_recursive = policy.matcher(), policy.recursive
        other = EntryKind.OTHER
        room = self._max_entries - len(listing)
        found: list[int] = []
        children = 0
        with os.scandir(self.open(index)) as names:
            for entry in names:
                children += 1
                if not children % LOOK_EVERY:
                    budget.look(lambda: f"{policy.name}: {len(listing):,} entries listed")
                if budget.why is not None:
                    return found
                is_directory = entry.is_dir(follow_symlinks=False)
                if not is_recursive if is_directory else fits is not None and not fits(entry.name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    children -= 1
                    continue
                name = entry.name.encode("utf-8", "surrogateescape")
                if status.st_dev != device:
                    listing.skipped["other_device"] += 1
                elif room <= 0 or len(listing.directories) >= self._max_directories:
                    listing.is_whole = False
                    return found
                elif is_directory:
                    found.append(listing.add_directory(index, name, status.st_ino, status.st_mtime_ns))
                else:
                    room -= 1
                    mode, size, changed_at = status.st_mode, status.st_size, status.st_mtime_ns
                    add(index, name, status.st_ino, size, changed_at, status.st_nlink, _KINDS.get(S_IFMT(mode), other))
        directory = listing.directories[index]
        directory.children, directory.is_listed = children, True
        return found
