"""What a directory tree held at one moment, in columns, so that millions of files fit into memory.

Each entry costs 37 bytes and the length of its name, and only the directories are objects. :class:`Entry` is made when
one is looked at.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

__all__ = ["ENTRY_BYTES", "ROOT", "Directory", "Entry", "EntryKind", "Listing", "shown"]

ROOT: Final = 0
"""Index of the directory that a policy names."""

ENTRY_BYTES: Final = 37
"""Memory of one entry beside its name."""


class EntryKind(IntEnum):
    """What a name stands for. ``OTHER`` is a pipe, socket or device: never removed."""

    FILE = 0
    SYMLINK = 1
    OTHER = 2


@dataclass(slots=True)
class Directory:
    """One directory. ``children`` counts every name in it, matched or not; ``is_listed`` is false where unread."""

    parent: int
    name: bytes
    inode: int
    mtime_ns: int
    children: int = 0
    is_listed: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One name. ``path`` is relative to the listing's root; ``mtime_ns`` nanoseconds since the epoch; size in bytes."""

    path: bytes
    kind: EntryKind
    device: int
    inode: int
    size: int
    mtime_ns: int
    links: int


class Listing:
    """The entries below one root, all on one device. ``is_whole`` is false when a bound or a fault cut it short."""

    def __init__(self, device: int, inode: int, mtime_ns: int) -> None:
        self.device = device
        self.directories = [Directory(ROOT, b"", inode, mtime_ns)]
        self.kinds = array("b")
        self.inodes = array("Q")
        self.sizes = array("q")
        self.mtimes = array("q")
        self.places = array("I")
        self.links: dict[int, int] = {}
        """Inodes that have several names, here or elsewhere, and how many."""
        self.skipped: Counter[str] = Counter()
        self.errors: list[str] = []
        self.is_whole = True
        self._names = bytearray()
        self._ends = array("Q")

    def __len__(self) -> int:
        return len(self.inodes)

    def __iter__(self) -> Iterator[Entry]:
        return map(self.entry, range(len(self)))

    def add_directory(self, parent: int, name: bytes, inode: int, mtime_ns: int) -> int:
        """Note a directory, after its parent, and return its index."""
        self.directories.append(Directory(parent, name, inode, mtime_ns))
        return len(self.directories) - 1

    def add(
        self, directory: int, name: bytes, inode: int, size: int, mtime_ns: int, links: int, kind: EntryKind
    ) -> None:
        """Note an entry of the directory with that index."""
        self.kinds.append(kind)
        self.inodes.append(inode)
        self.sizes.append(size)
        self.mtimes.append(mtime_ns)
        self.places.append(directory)
        self._names += name
        self._ends.append(len(self._names))
        if links > 1:
            self.links[inode] = links

    def name(self, index: int) -> bytes:
        """The last part of an entry's path."""
        return bytes(self._names[self._ends[index - 1] if index else 0 : self._ends[index]])

    def path(self, index: int) -> bytes:
        """An entry's path, relative to the root."""
        return self.directory_path(self.places[index]) + self.name(index)

    def directory_path(self, index: int) -> bytes:
        """A directory's path, relative to the root and with a slash at its end; empty for the root."""
        parts = []
        while index != ROOT:
            directory = self.directories[index]
            parts.append(directory.name + b"/")
            index = directory.parent
        return b"".join(reversed(parts))

    def entry(self, index: int) -> Entry:
        """One entry, for looking at."""
        inode = self.inodes[index]
        return Entry(
            self.path(index),
            EntryKind(self.kinds[index]),
            self.device,
            inode,
            self.sizes[index],
            self.mtimes[index],
            self.links.get(inode, 1),
        )

    def memory(self) -> int:
        """Bytes the columns take, the directories not counted."""
        columns = (self.kinds, self.inodes, self.sizes, self.mtimes, self.places, self._ends)
        return len(self._names) + sum(column.itemsize * len(column) for column in columns)


def shown(name: bytes) -> str:
    """A name for people and JSON. Names are chosen by others, so what a terminal would obey is escaped."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
