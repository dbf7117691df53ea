"""Decides what goes: a listing, a policy and a time in; decisions with their reasons out. No I/O.

Its rules:

1. Candidates are files, and symbolic links where the policy says so. They are put in order, oldest first: by the time
   of the last change, then by inode, then by path. The order of the listing plays no part.
2. What goes is a beginning of that order, so nothing goes while something older stays. Age, count and size each ask
   for a beginning, and the longest one wins. An entry's reason is the first of the three that asks for it.
3. The newest ``min_keep`` and all that changed within the grace are an end of that order, and stay.
4. Where more than ``max_share`` of the files or of their bytes would go, nothing goes. A wrong clock or a mistyped age
   would else take the half of what is left with each run.
5. A listing that was cut short says nothing about how many files there are, or how large all are: then only age counts.
6. A file with several names weighs once, and until the last name here is gone. It frees space when no name is left
   anywhere.
7. A directory goes when nothing would be left in it and it has not changed within ``max_age``, or the grace.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voxgate_observability.retention.listing import ROOT, Entry, EntryKind, Listing
from voxgate_observability.retention.policy import FilePolicy

__all__ = ["Amount", "Decision", "Left", "Plan", "Reason", "make_plan"]

_NS = 1_000_000_000


class Reason(StrEnum):
    """Why an entry goes."""

    AGE = "max_age"
    COUNT = "max_count"
    SIZE = "max_total_size"


class Left(StrEnum):
    """Why an entry stays that would go otherwise, or that no policy touches."""

    MIN_KEEP = "min_keep"
    GRACE = "grace"
    CAP = "max_share"
    SYMLINK = "symlink"
    OTHER = "not_a_file"


@dataclass(frozen=True, slots=True)
class Amount:
    """Files and bytes."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """One entry that goes, and why."""

    entry: Entry
    reason: Reason


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes from a listing: the first ``going`` of ``order``, then ``directories``, the deepest first.

    ``matched`` is all the candidates. ``wanted`` is what the limits ask for, ``planned`` what goes: nothing when the
    cap holds it back. Bytes of ``planned`` are those that the disk gets back.
    """

    listing: Listing
    order: Sequence[int]
    going: int
    by_age: int
    by_count: int
    directories: tuple[int, ...]
    matched: Amount
    wanted: Amount
    planned: Amount
    left: Counter[Left]

    @property
    def is_capped(self) -> bool:
        """Whether the cap held everything back."""
        return self.left[Left.CAP] > 0

    def reason(self, position: int) -> Reason:
        """Why the entry at a position of the order goes."""
        if position < self.by_age:
            return Reason.AGE
        return Reason.COUNT if position < self.by_count else Reason.SIZE

    def reasons(self) -> dict[Reason, int]:
        """How many go for each reason."""
        age = min(self.by_age, self.going)
        count = max(age, min(self.by_count, self.going))
        return {Reason.AGE: age, Reason.COUNT: count - age, Reason.SIZE: self.going - count}

    def decisions(self) -> Iterator[Decision]:
        """Each entry that goes, oldest first."""
        for position in range(self.going):
            yield Decision(self.listing.entry(self.order[position]), self.reason(position))


def make_plan(listing: Listing, policy: FilePolicy, now: float, *, is_forced: bool = False) -> Plan:
    """What ``policy`` lets go at ``now`` (epoch seconds). ``is_forced`` lifts the cap."""
    moment = int(now * _NS)
    left = _untouched(listing, policy)
    order = _oldest_first(listing, policy)
    count = len(order)
    changed_at = listing.mtimes.__getitem__

    by_age = 0
    if policy.max_age is not None:
        by_age = bisect_left(order, moment - policy.max_age * _NS, key=changed_at)
    by_count = by_size = 0
    if listing.is_whole and policy.max_count is not None:
        by_count = max(0, count - policy.max_count)
    total = sum(weight for weight, _ in _weights(listing, order))
    if listing.is_whole and policy.max_total_size is not None:
        by_size = _until_small(listing, order, total, policy.max_total_size)

    wanted = max(by_age, by_count, by_size)
    settled = bisect_right(order, moment - policy.grace * _NS, key=changed_at)
    unprotected = max(0, count - policy.min_keep)
    going = min(wanted, settled, unprotected)
    left[Left.MIN_KEEP] = max(0, wanted - unprotected)
    left[Left.GRACE] = max(0, min(wanted, unprotected) - settled)

    shed = freed = 0
    for weight, space in _weights(listing, order, going):
        shed, freed = shed + weight, freed + space
    asked = Amount(going, freed)
    if not is_forced and (going > policy.max_share * count or shed > policy.max_share * total):
        left[Left.CAP], going = going, 0
        directories: tuple[int, ...] = ()
    else:
        directories = _emptied(listing, policy, order, going, moment)
    planned = asked if going else Amount()
    return Plan(listing, order, going, by_age, by_count, directories, Amount(count, total), asked, planned, +left)


def _untouched(listing: Listing, policy: FilePolicy) -> Counter[Left]:
    left = Counter({Left.OTHER: listing.kinds.count(EntryKind.OTHER)})
    if not policy.remove_symlinks:
        left[Left.SYMLINK] = listing.kinds.count(EntryKind.SYMLINK)
    return left


def _oldest_first(listing: Listing, policy: FilePolicy) -> Sequence[int]:
    highest = EntryKind.SYMLINK if policy.remove_symlinks else EntryKind.FILE
    kinds, mtimes, inodes = listing.kinds, listing.mtimes, listing.inodes
    order = [index for index, kind in enumerate(kinds) if kind <= highest]
    if listing.links:
        # Only names of one file tie in both time and inode. Sorting is stable, so this settles those ties.
        order.sort(key=listing.path)
    # One number orders as the pair would, in less than half its memory.
    order.sort(key=lambda index: (mtimes[index] << 64) + inodes[index])
    return array("I", order)


def _weights(listing: Listing, order: Sequence[int], stop: int | None = None) -> Iterator[tuple[int, int]]:
    """For each of the order in turn: by how much the candidates shrink, and how much the disk gets back (bytes)."""
    sizes, inodes, links = listing.sizes, listing.inodes, listing.links
    here = Counter(inode for index in order if (inode := inodes[index]) in links) if links else Counter()
    gone: Counter[int] = Counter()
    for index in order[:stop]:
        inode = inodes[index]
        if inode not in here:
            yield sizes[index], sizes[index]
            continue
        gone[inode] += 1
        weight = sizes[index] if gone[inode] == here[inode] else 0
        yield weight, weight if here[inode] >= links[inode] else 0


def _until_small(listing: Listing, order: Sequence[int], total: int, limit: int) -> int:
    """How many of the oldest must go until the rest weighs at most ``limit`` bytes."""
    position = 0
    for weight, _ in _weights(listing, order):
        if total <= limit:
            break
        total -= weight
        position += 1
    return position


def _emptied(listing: Listing, policy: FilePolicy, order: Sequence[int], going: int, moment: int) -> tuple[int, ...]:
    """Directories with nothing left in them, children before their parents."""
    if not policy.remove_empty_directories:
        return ()
    places, directories = listing.places, listing.directories
    taken = Counter(places[index] for index in order[:going])
    unchanged_since = moment - (policy.grace if policy.max_age is None else policy.max_age) * _NS
    emptied = []
    # A directory is noted after its parent, so backwards every child comes before it.
    for index in range(len(directories) - 1, ROOT, -1):
        directory = directories[index]
        if directory.is_listed and directory.children == taken[index] and directory.mtime_ns < unchanged_since:
            emptied.append(index)
            taken[directory.parent] += 1
    return tuple(emptied)
