"""No file names a machine of ours or a package registry: a clone must work, and tell nothing, anywhere."""

import re
import sys
from pathlib import Path

import pytest

from tests.workspace.layout import ROOT, kept_files

# Written in pieces, so that this file passes its own test.
HOMES = "|".join(("ho" + "me", "Us" + "ers"))
REGISTRIES = "|".join(
    re.escape(".".join(parts))
    for parts in (
        ("py" + "pi", "org"),
        ("python" + "hosted", "org"),
        ("registry", "np" + "mjs", "org"),
        ("pack" + "agist", "org"),
        ("crates", "io"),
        ("proxy", "go" + "lang", "org"),
        ("sum", "go" + "lang", "org"),
    )
)
FORBIDDEN = {
    "a home directory": re.compile(rf"(?<![\w.:/-])/(?:{HOMES})/\w"),
    "the home of root": re.compile(r"(?<![\w.:/-])/ro" + r"ot/"),
    "a package registry": re.compile(REGISTRIES),
    "an index setting": re.compile(r"(?:extra-)?in" + r"dex-url|find-li" + "nks"),
}


def this_machine() -> dict[str, re.Pattern[str]]:
    """Where this checkout and this interpreter live. One folder deep, a name says too little to search for."""
    paths = {"this checkout": ROOT, "this interpreter": Path(sys.prefix), "this home": Path.home()}
    return {
        name: re.compile(rf"(?<![\w.-]){re.escape(str(path))}(?!\w)")
        for name, path in paths.items()
        if len(path.parts) > 2
    }


FILES = [path for path in kept_files() if path.suffix not in {".wav", ".png", ".ico", ".woff2"}]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_a_file_names_no_machine_and_no_registry(path: Path) -> None:
    text = path.read_text("utf-8")
    for what, pattern in (FORBIDDEN | this_machine()).items():
        for number, line in enumerate(text.splitlines(), 1):
            assert not pattern.search(line), f"{path.relative_to(ROOT)}:{number} names {what}: {line.strip()[:120]}"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a home directory", "cd /ho" + "me/ada/voxgate"),
        ("the home of root", "'/ro" + "ot/.cache'"),
        ("a package registry", "https://py" + "pi.org/project/voxgate"),
        ("an index setting", "--in" + "dex-url=x"),
    ],
)
def test_the_search_finds_what_it_looks_for(what: str, line: str) -> None:
    assert FORBIDDEN[what].search(line)


@pytest.mark.parametrize("line", ["https://example.org/home/page", "tests/home/x", "/rooted/", "voxgate.io"])
def test_the_search_lets_ordinary_text_pass(line: str) -> None:
    assert not any(pattern.search(line) for pattern in FORBIDDEN.values())


def test_no_lock_file_with_registry_addresses_is_kept() -> None:
    assert ROOT / "uv.lock" not in kept_files()
