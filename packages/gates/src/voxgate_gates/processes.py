"""Which processes descend from one, wherever they have gone to since. Linux; elsewhere there are none to be seen."""

from pathlib import Path

__all__ = ["Seen", "descendants", "still_there"]

Seen = frozenset[tuple[int, str]]
"""Process ids, each with the tick its process started at: an id that was given to another process is not the same."""

PROC = Path("/proc")


def descendants(pid: int) -> Seen:
    """Every process that descends from ``pid`` now, itself not included."""
    found: set[tuple[int, str]] = set()
    queue = [pid]
    while queue:
        for child in _children(queue.pop()):
            started = _started(child)
            if started is not None and (child, started) not in found:
                found.add((child, started))
                queue.append(child)
    return frozenset(found)


def still_there(seen: Seen) -> Seen:
    """Those of them that have not ended; one that only waits to be reaped has."""
    return frozenset((pid, started) for pid, started in seen if _started(pid) == started)


def _children(pid: int) -> list[int]:
    children: list[int] = []
    for thread in _listed(PROC / str(pid) / "task"):
        try:
            children += [int(child) for child in (thread / "children").read_text("ascii").split()]
        except OSError:  # it has ended meanwhile
            continue
    return children


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _started(pid: int) -> str | None:
    """When it started, in ticks since boot (proc(5), field 22 of ``stat``); ``None`` for a zombie or none at all."""
    try:
        fields = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
