"""``.ci/run``, run for real beside stand-ins for the programs it calls."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.workspace.layout import ROOT

SCRIPT = ROOT / ".ci" / "run"
CLOSING = "==================== 12 passed, 1 skipped in 83.20s (0:01:23) ===================="
PASSING = f"echo '{CLOSING}'; echo 'TOTAL 97%'"

PYTHON = """#!/bin/bash
who=python
[[ $0 == */build/ci/venv/* ]] && who=venv
echo "$who $*" >> "$CALLS"
case "$*" in
    "-m pip install"*) [[ $who == venv ]] || {{ {pip}; }} ;;
    "-m venv "*) mkdir -p "$3/bin" && cat "$0" > "$3/bin/python" && chmod +x "$3/bin/python" ;;
    "-m nox -s tests") {tests} ;;
    "-m nox -s lint types layers") {lint} ;;
    "-m nox -s php") {php} ;;
    "-m nox -s gates -- --strict") {gates} ;;
    *) exit 97 ;;
esac
"""
"""The stand-in for Python: it writes down how it was called, and runs what a test gave it for that call."""


class Checkout:
    """A folder with ``.ci/run`` in it and a PATH that holds nothing but stand-ins and the basics."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bin = path / "bin"
        self.calls = path / "calls"
        (path / ".ci").mkdir()
        self.bin.mkdir()
        shutil.copy2(SCRIPT, path / ".ci" / "run")
        for name in ("bash", "cat", "chmod", "dirname", "env", "grep", "mkdir", "sed", "sleep", "tail", "tee"):
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        self.program("id", "#!/bin/bash\necho 0\n")
        self.python()

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text, "utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def python(
        self, *, pip: str = "true", tests: str = PASSING, lint: str = "true", php: str = "true", gates: str = "true"
    ) -> None:
        self.program("python3", PYTHON.format(pip=pip, tests=tests, lint=lint, php=php, gates=gates))

    def apt(self, name: str = "apt-get", *, succeeds_at: int = 1) -> None:
        """A stand-in whose ``update`` succeeds at the n-th attempt."""
        text = f'[ $(grep -c "^{name} update" "$CALLS") -ge {succeeds_at} ]' if succeeds_at > 1 else "true"
        self.program(name, f'#!/bin/bash\necho "{name} $*" >> "$CALLS"\n{text}\n')

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.path / ".ci" / "run")],
            cwd="/",
            env={"PATH": str(self.bin), "CALLS": str(self.calls), "APT_PAUSE_SECONDS": "0", **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def called(self) -> list[str]:
        return self.calls.read_text("utf-8").splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def last_line(run: subprocess.CompletedProcess[str]) -> str:
    return run.stdout.splitlines()[-1]


def test_the_script_can_be_executed() -> None:
    assert os.access(SCRIPT, os.X_OK)


def test_a_good_run_ends_with_the_closing_line_of_the_tests(checkout: Checkout) -> None:
    run = checkout.run()
    assert run.returncode == 0, run.stdout + run.stderr
    assert last_line(run) == CLOSING
    assert "FAILED" not in run.stdout


def test_the_steps_come_in_their_order(checkout: Checkout) -> None:
    checkout.run()
    assert checkout.called() == [
        "python -m pip install --quiet nox[uv]>=2026.8.17",
        "python -m nox -s tests",
        "python -m nox -s lint types layers",
        "python -m nox -s php",
        "python -m nox -s gates -- --strict",
    ]


def test_every_step_says_how_long_it_took(checkout: Checkout) -> None:
    output = checkout.run().stdout
    for name in ("system packages", "nox", "tests", "lint types layers", "php", "gates"):
        assert any(line.endswith(f" s  ok      {name}") for line in output.splitlines()), name


@pytest.mark.parametrize("step", ["tests", "lint", "php", "gates"])
def test_one_failing_step_fails_the_run_and_stops_no_other(checkout: Checkout, step: str) -> None:
    failing = f"{PASSING if step == 'tests' else 'true'}; exit 1"
    checkout.python(**{step: failing})
    run = checkout.run()
    assert run.returncode == 1
    assert last_line(run) == CLOSING
    assert f"FAILED: {step}" in run.stdout
    assert len(checkout.called()) == 5


def test_a_closing_line_in_colour_is_found_and_shown_plain(checkout: Checkout) -> None:
    checkout.python(tests=r"printf '\033[32m==== \033[1m3 passed\033[0m in 0.01s ====\033[0m\n'")
    assert last_line(checkout.run()) == "==== 3 passed in 0.01s ===="


def test_a_run_whose_tests_never_closed_says_so(checkout: Checkout) -> None:
    checkout.python(tests="echo collecting; exit 3")
    run = checkout.run()
    assert run.returncode == 1
    assert last_line(run) == "the test runner printed no closing line"


def test_the_closing_line_of_an_earlier_run_is_not_shown_again(checkout: Checkout) -> None:
    checkout.run()
    checkout.python(tests="exit 3")
    assert last_line(checkout.run()) == "the test runner printed no closing line"


def test_a_python_that_pip_may_not_touch_gets_a_virtual_environment(checkout: Checkout) -> None:
    checkout.python(pip="echo 'error: externally-managed-environment' >&2; exit 1")
    run = checkout.run()
    assert run.returncode == 0, run.stdout + run.stderr
    assert [call for call in checkout.called() if "nox -s" in call] == [
        "venv -m nox -s tests",
        "venv -m nox -s lint types layers",
        "venv -m nox -s php",
        "venv -m nox -s gates -- --strict",
    ]
    assert (checkout.path / "build" / "ci" / "venv" / "bin" / "python").is_file()


def test_system_packages_are_installed_only_for_ci(checkout: Checkout) -> None:
    checkout.apt()
    checkout.run()
    assert not [call for call in checkout.called() if call.startswith("apt-get")]
    checkout.run(CI="true")
    assert [call for call in checkout.called() if call.startswith("apt-get")] == [
        "apt-get update",
        "apt-get install -y --no-install-recommends php-cli phpunit php-codesniffer chromium",
    ]


def test_a_machine_without_apt_is_left_alone(checkout: Checkout) -> None:
    assert checkout.run(CI="true").returncode == 0


def test_a_user_without_sudo_is_left_alone(checkout: Checkout) -> None:
    checkout.apt()
    checkout.program("id", "#!/bin/bash\necho 1000\n")
    assert checkout.run(CI="true").returncode == 0
    assert not [call for call in checkout.called() if call.startswith("apt-get")]


def test_a_user_with_sudo_installs_through_it(checkout: Checkout) -> None:
    checkout.apt()
    checkout.program("id", "#!/bin/bash\necho 1000\n")
    checkout.program("sudo", '#!/bin/bash\necho "sudo $*" >> "$CALLS"\n[ "$1" = -n ] && shift\nexec "$@"\n')
    checkout.program("true", "#!/bin/bash\nexit 0\n")
    assert checkout.run(CI="true").returncode == 0
    assert "sudo -n apt-get update" in checkout.called()


def test_a_mirror_that_recovers_is_tried_again(checkout: Checkout) -> None:
    checkout.apt(succeeds_at=3)
    assert checkout.run(CI="true").returncode == 0
    assert checkout.called().count("apt-get update") == 3


def test_a_mirror_that_stays_down_is_given_up_and_fails_the_run(checkout: Checkout) -> None:
    checkout.apt(succeeds_at=99)
    run = checkout.run(CI="true")
    assert run.returncode == 1
    assert "FAILED: system packages" in run.stdout
    assert checkout.called().count("apt-get update") == 3
    assert last_line(run) == CLOSING


def test_nothing_in_a_run_can_wait_for_input(checkout: Checkout) -> None:
    checkout.python(lint="cat")
    assert checkout.run().returncode == 0
