"""What every workflow has in common, and what `ci.yml` and `site.yml` promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflows.files import FOLDER, ROOT, WORKFLOWS, jobs_of, read, steps_of
from voxgate_gates import ALL_CHECKS, GATES

PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
CHECK_JSONSCHEMA = Path(sys.executable).with_name("check-jsonschema")


def test_there_are_these() -> None:
    assert WORKFLOWS == ("ci.yml", "site.yml", "uptime.yml")


def test_githubs_own_schema_takes_them() -> None:
    words = [str(CHECK_JSONSCHEMA), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run(
        [*words, *(str(FOLDER / name) for name in WORKFLOWS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_and_jobs_end_by_themselves(name: str) -> None:
    for step in steps_of(name):
        assert PINNED.fullmatch(step.get("uses", "a/b@" + "0" * 40)), step
    assert all(job["timeout-minutes"] <= 60 for job in jobs_of(name).values())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_from_outside_is_written_into_a_shell_command(name: str) -> None:
    assert [step["run"] for step in steps_of(name) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize(
    ("name", "job", "granted"),
    [
        ("ci.yml", "tests", None),
        ("ci.yml", "gates", None),
        ("site.yml", "build", None),
        ("site.yml", "publish", {"pages": "write", "id-token": "write"}),
        ("uptime.yml", "look", {"actions": "write", "issues": "write"}),
    ],
)
def test_a_job_may_do_what_it_must_and_no_more(name: str, job: str, granted: dict[str, str] | None) -> None:
    assert read(name)["permissions"] in ({}, {"contents": "read"})
    assert jobs_of(name)[job].get("permissions") == granted


def test_three_pythons_are_tested() -> None:
    assert jobs_of("ci.yml")["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


def test_what_the_gates_job_names_exists() -> None:
    known = {*GATES, *(check.id for check in ALL_CHECKS)}
    named = [word for step in steps_of("ci.yml") for word in re.findall(r"--only (\S+)", step.get("run", ""))]
    assert len(named) > 8
    assert set(named) <= known
    noxfile = (ROOT / "noxfile.py").read_text("utf-8")
    for step in (*steps_of("ci.yml"), *steps_of("site.yml")):
        for words in re.findall(r"nox -s ((?:\w+ ?)+)", step.get("run", "")):
            assert all(f"def {session}(" in noxfile for session in words.split())


def test_the_smokes_are_steps_of_their_own_before_the_whole() -> None:
    names = [step.get("name") for step in jobs_of("ci.yml")["gates"]["steps"]]
    wanted = ["Token negative paths", "WebSocket auth smoke", "Fan-out smoke", "PHP schema-check", "All gates"]
    assert [name for name in names if name in wanted] == wanted
