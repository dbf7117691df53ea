import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from voxgate_core import ConfigurationError, VoxgateError
from voxgate_observability.retention.state import AUDIT, REPORT, StateFolder, write_textfile

_HOLDER = """
import sys
from voxgate_observability.retention.state import StateFolder
with StateFolder(sys.argv[1]) as state, state.lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_folder_and_its_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    with StateFolder(str(tmp_path / "data")) as state, state.lock():
        state.write_report({"lastSuccess": None})
        state.append_audit({"n": 1})
    folder = tmp_path / "data" / "retention"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "lock": 0o600, REPORT: 0o600, AUDIT: 0o600,
    }  # fmt: skip


def test_audit_lines_are_appended(tmp_path: Path) -> None:
    with StateFolder(str(tmp_path)) as state:
        for number in range(3):
            state.append_audit({"n": number, "text": "a\nb"})
    lines = (tmp_path / "retention" / AUDIT).read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [0, 1, 2]


def test_the_last_success_comes_from_the_last_report(tmp_path: Path) -> None:
    with StateFolder(str(tmp_path)) as state:
        assert state.last_success() is None
        state.write_report({"lastSuccess": 17.5})
        assert state.last_success() == 17.5


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"lastSuccess": "x"}', '{"lastSuccess": null}'])
def test_an_unreadable_report_is_no_success(tmp_path: Path, text: str) -> None:
    with StateFolder(str(tmp_path)) as state:
        (tmp_path / "retention" / REPORT).write_text(text)
        assert state.last_success() is None


def test_two_processes_can_not_run_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with StateFolder(str(tmp_path)) as state:
            with pytest.raises(VoxgateError, match="another retention run"), state.lock():
                pass
            holder.kill()  # even then the kernel lets go of the lock
            holder.wait()
            with state.lock():
                pass


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "retention").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="can't be made or opened"):
        StateFolder(str(tmp_path))


def test_a_link_in_the_place_of_the_audit_file_is_not_written_through(tmp_path: Path) -> None:
    with StateFolder(str(tmp_path)) as state:
        (tmp_path / "retention" / AUDIT).symlink_to(tmp_path / "victim")
        with pytest.raises(OSError, match="symbolic links"):
            state.append_audit({})
    assert not (tmp_path / "victim").exists()


def test_a_folder_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "retention").mkdir()
    (tmp_path / "retention").chmod(0o770)
    with pytest.raises(ConfigurationError, match="nobody else may write"):
        StateFolder(str(tmp_path))


def test_metrics_are_replaced_whole_and_readable_by_others(tmp_path: Path) -> None:
    target = tmp_path / "voxgate.prom"
    write_textfile(target, "one 1\n")
    first = target.stat().st_ino
    write_textfile(target, "two 2\n")
    assert target.read_text() == "two 2\n"
    assert target.stat().st_ino != first
    assert target.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["voxgate.prom"]


def test_metrics_that_can_not_be_put_in_place_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "voxgate.prom").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_textfile(tmp_path / "voxgate.prom", "x 1\n")
    assert os.listdir(tmp_path) == ["voxgate.prom"]
