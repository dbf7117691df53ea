import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from voxgate_core import ConfigurationError
from voxgate_fanout import CONTROL_FILE
from voxgate_gateway.control import control_file, new_control

URL = "http://127.0.0.1:8080"


def test_a_control_key_is_new_each_time_and_in_no_repr() -> None:
    one, other = new_control(), new_control()
    assert one.key != other.key
    assert one.key not in repr(one)
    name, role, digest = one.stored.split(":")
    assert (role, digest) == ("operator", hashlib.sha256(one.key.encode()).hexdigest())
    assert name.startswith("control-")


def test_the_file_says_where_to_whom_and_is_its_owners_alone(tmp_path: Path) -> None:
    control = new_control()
    with control_file(tmp_path / "new" / "data", URL, control) as path:
        assert path == tmp_path / "new" / "data" / CONTROL_FILE
        assert json.loads(path.read_text("utf-8")) == {"url": URL, "key": control.key, "pid": os.getpid()}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert list(path.parent.iterdir()) == [path]
    assert list(path.parent.iterdir()) == []


def test_an_open_umask_and_an_older_file_of_anyone_do_not_open_it(tmp_path: Path) -> None:
    path = tmp_path / CONTROL_FILE
    for older in (path, tmp_path / f"{CONTROL_FILE}.{os.getpid()}"):
        older.write_text("older", "utf-8")
        older.chmod(0o666)
    before = os.umask(0)
    try:
        with control_file(tmp_path, URL, new_control()):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_the_file_of_a_gateway_that_came_later_stays(tmp_path: Path) -> None:
    with control_file(tmp_path, URL, new_control()) as path:
        with control_file(tmp_path, "http://127.0.0.1:9090", new_control()):
            later = path.read_bytes()
            assert b"9090" in later
        assert not path.exists()
        path.write_bytes(later)
    assert path.read_bytes() == later


@pytest.mark.parametrize("instead", [b"\xff\xfe", None])
def test_a_file_that_was_spoilt_or_removed_is_no_error_at_the_end(instead: bytes | None, tmp_path: Path) -> None:
    with control_file(tmp_path, URL, new_control()) as path:
        path.unlink()
        if instead is not None:
            path.write_bytes(instead)
    assert path.exists() is (instead is not None)


def test_the_file_goes_with_a_failing_gateway_too(tmp_path: Path) -> None:
    with pytest.raises(LookupError), control_file(tmp_path, URL, new_control()):
        raise LookupError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_had_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    control = new_control()
    with pytest.raises(ConfigurationError, match="VOXGATE_DATA_DIR is .*/file/data, .*: set it to") as refused:
        with control_file(tmp_path / "file" / "data", URL, control):
            pytest.fail("it was written")
    assert control.key not in str(refused.value)


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / CONTROL_FILE).mkdir()
    with pytest.raises(ConfigurationError, match="VOXGATE_DATA_DIR"), control_file(tmp_path, URL, new_control()):
        pytest.fail("it was written")
    assert [path.name for path in tmp_path.iterdir()] == [CONTROL_FILE]
