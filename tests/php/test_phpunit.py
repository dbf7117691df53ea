"""The shim's own suite, and its style, run as `nox -s php` runs them."""

import re
import shutil
import subprocess

import pytest

from tests.php.shim import ROOT, needs_php

SHIM = ROOT / "php_shim"
SITE = ROOT / "tests" / "php" / "site"


def program(name: str, package: str) -> str:
    """Where it is; the test is skipped where it is nowhere."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} on this machine: apt-get install {package}")
    return found


@needs_php
def test_the_suite_of_the_shim_passes() -> None:
    command = [program("phpunit", "phpunit"), "-c", str(SHIM / "phpunit.xml")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stdout + run.stderr
    found = re.search(r"OK \((\d+) tests", run.stdout)
    assert found is not None
    assert int(found[1]) > 400


@needs_php
def test_the_style_is_psr_12() -> None:
    command = [program("phpcs", "php-codesniffer"), "--standard=PSR12", "--extensions=php", str(SHIM), str(SITE)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_file_of_the_shim_is_longer_than_the_house_allows() -> None:
    for path in SHIM.rglob("*.php"):
        assert len(path.read_text("utf-8").splitlines()) <= 400, path.name
