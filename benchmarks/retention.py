"""What removing many files safely costs: `voxgate retention run --apply` beside `find -delete`, in one run.

Both get a tree of the same shape, made for them: directories of a thousand empty files, all of them old enough to go.
Seconds are of the whole command, its start included; `peak_mib` is the largest resident set of the process. The ratio
``seconds_vs_find`` is voxgate's seconds over find's. find looks at each file once and trusts the name; retention lists the
tree, orders it, and looks at each file again right before it goes.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

FILES: Final = 1_000_000
PER_DIRECTORY: Final = 1000
BAR_SECONDS: Final = 30.0
"""For a million files."""

OLD_SECONDS: Final = 30 * 86_400
POLICY: Final = """
[policies.files]
path = "{path}"
recursive = true
max_age = "7d"
max_share = 1.0
"""

CASES: Final = ("voxgate retention", "find -delete")


def fill(folder: Path, files: int) -> None:
    """Make ``files`` empty files, a month old."""
    then = time.time() - OLD_SECONDS
    for first in range(0, files, PER_DIRECTORY):
        place = folder / f"{first // PER_DIRECTORY:05d}"
        place.mkdir(parents=True)
        opened = os.open(place, os.O_RDONLY)
        try:
            for number in range(min(PER_DIRECTORY, files - first)):
                file = os.open(f"recording-{number:04d}.wav", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=opened)
                os.utime(file, (then, then))
                os.close(file)
        finally:
            os.close(opened)


def timed(command: Sequence[str], environ: Mapping[str, str]) -> tuple[float, float]:
    """Seconds of a command, and the largest MiB that any command so far has held. Raises ``CalledProcessError``."""
    began = time.monotonic()
    subprocess.run(
        command, env={**os.environ, **environ}, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def measure(runs: int, files: int) -> dict[str, Any]:
    """Every case's figures, and how many times as long retention takes."""
    find = shutil.which("find")
    cases = CASES if find else CASES[:1]
    seconds: dict[str, list[float]] = {case: [] for case in cases}
    peak = 0.0
    with tempfile.TemporaryDirectory(prefix="voxgate-bench-") as made:
        folder = Path(made).resolve()
        trees = [(case, folder / f"{number}-{run}") for run in range(runs) for number, case in enumerate(cases)]
        for number, (_, tree) in enumerate(trees):  # all of them first: ext4 is slow to give an inode away again
            _progress(f"making tree {number + 1} of {len(trees)}, {files} files")
            fill(tree, files)
        os.sync()  # what was made is written before the clock runs
        for number, (case, tree) in enumerate(trees):
            _progress(f"tree {number + 1} of {len(trees)}: {case}")
            (folder / "retention.toml").write_text(POLICY.format(path=tree))
            ours = (sys.executable, "-m", "voxgate_gateway", "retention", "run", "--apply", "--limit", "0")
            theirs = (str(find), str(tree), "-type", "f", "-mtime", "+7", "-delete")
            took, held = timed(ours if case == CASES[0] else theirs, {"VOXGATE_DATA_DIR": str(folder)})
            seconds[case].append(took)
            peak = max(peak, held) if case == CASES[0] else peak
            if left := sum(len(names) for _, _, names in os.walk(tree)):
                raise RuntimeError(f"{case} left {left} files")
    _progress("")
    medians = {case: statistics.median(values) for case, values in seconds.items()}
    figures = {
        case: {"seconds": round(value, 2), "us_per_file": round(value / files * 1e6, 2)}
        for case, value in medians.items()
    }
    figures[CASES[0]]["peak_mib"] = round(peak, 1)
    return {
        "name": "retention",
        "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        "runs": runs,
        "cases": figures,
        "ratios": {"seconds_vs_find": round(medians[CASES[0]] / medians[CASES[1]], 2)} if find else {},
        "absent": [] if find else [CASES[1]],
    }


def _progress(text: str) -> None:
    print(f"\r{text:<70}\r", end="", file=sys.stderr, flush=True)


def print_table(result: dict[str, Any], files: int) -> None:
    """The cases as a person reads them."""
    print(f"{'':<20}{'seconds':>10}{'µs/file':>10}{'peak MiB':>10}")
    for case, figures in result["cases"].items():
        shown = f"{figures['peak_mib']:.0f}" if "peak_mib" in figures else ""
        print(f"{case:<20}{figures['seconds']:>10.2f}{figures['us_per_file']:>10.2f}{shown:>10}")
    for name in result["absent"]:
        print(f"{name:<20}absent: it is not on this machine")
    for name, ratio in result["ratios"].items():
        print(f"{name:<20}{ratio:>10.2f}")
    if files == FILES:
        held = result["cases"][CASES[0]]["seconds"] < BAR_SECONDS
        print(f"the bar for a million files is {BAR_SECONDS:g} s: {'held' if held else 'missed'}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1, help="runs; figures are their medians (default 1)")
    parser.add_argument("--files", type=int, default=FILES, help=f"files of one tree (default {FILES})")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    arguments = parser.parse_args()
    result = measure(arguments.runs, arguments.files)
    print_table(result, arguments.files)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
