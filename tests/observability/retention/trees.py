"""Directory trees for the tests, and the process that swaps their directories for links."""

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from voxgate_core import ManualClock
from voxgate_observability.retention import Budget, Plan, make_plan
from voxgate_observability.retention.policy import FilePolicy
from voxgate_observability.retention.tree import Tree

DAY = 86_400
NOW = time.time()
"""Real, since the kernel stamps what the tests change with its own clock."""

_SWAPPER = """
import os, signal, sys
inside, outside, aside = sys.argv[1:]
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
names = sorted(os.listdir(inside))
print("ready", flush=True)
swaps = 0
while not asked:
    for name in names:
        there, hidden = os.path.join(inside, name), os.path.join(aside, name)
        try:
            os.rename(there, hidden)
        except FileNotFoundError:
            continue
        os.symlink(os.path.join(outside, name), there)
        os.unlink(there)
        os.rename(hidden, there)
        swaps += 1
print(swaps, flush=True)
"""


def unhurried() -> Budget:
    return Budget(ManualClock(), 3600)


def age(path: Path, days: float) -> Path:
    """Make a path so many days old."""
    moment = NOW - days * DAY
    os.utime(path, (moment, moment), follow_symlinks=False)
    return path


def make(path: Path, days: float = 10, content: bytes = b"x") -> Path:
    """A file of that age, and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return age(path, days)


def fill(root: Path, directories: int, files: int) -> None:
    """So many directories with so many empty files each, ten days old, all named alike wherever this is called."""
    moment = NOW - 10 * DAY
    for number in range(directories):
        directory = root / f"d{number:04}"
        directory.mkdir(parents=True)
        descriptor = os.open(directory, os.O_RDONLY)
        for name in range(files):
            file = os.open(f"f{name:05}.wav", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor)
            os.utime(file, (moment, moment + name))
            os.close(file)
        os.close(descriptor)


def count(root: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(root))


def planned(policy: FilePolicy, *, now: float = NOW) -> tuple[Tree, Plan]:
    """A tree, read, and the plan for it. The caller leaves the tree."""
    tree = Tree(policy.path, unhurried())
    return tree, make_plan(tree.read(policy), policy, now)


@contextlib.contextmanager
def swapping(inside: Path, outside: Path, aside: Path) -> Iterator[list[int]]:
    """Another process that swaps each directory of ``inside`` for a link to its namesake in ``outside``, and back.

    The list holds, afterwards, how many swaps it made.
    """
    swaps: list[int] = []
    command = [sys.executable, "-I", "-c", _SWAPPER, str(inside), str(outside), str(aside)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield swaps
        finally:
            process.terminate()
            swaps.append(int(process.stdout.read()))


@contextlib.contextmanager
def descriptors(more: int) -> Iterator[None]:
    """Let this process open so many files more, and no others: a fault that root meets as well."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
