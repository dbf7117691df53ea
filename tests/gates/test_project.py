from pathlib import Path

from voxgate_gates.project import MARKS, find_project


def test_a_named_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert find_project(tmp_path) == tmp_path.resolve()


def test_the_working_directory_is_taken_where_it_looks_like_a_project(tmp_path: Path) -> None:
    assert find_project(None, tmp_path) is None
    for mark in MARKS:
        (tmp_path / mark).touch()
    assert find_project(None, tmp_path) == tmp_path.resolve()
