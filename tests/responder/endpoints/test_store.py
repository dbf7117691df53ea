from pathlib import Path
from typing import Any

import pytest

from voxgate_core import VoxgateError
from voxgate_responder.endpoints.store import MAX_TURNS, ConversationFiles, new_id, new_turn


@pytest.fixture
def files(tmp_path: Path) -> ConversationFiles:
    return ConversationFiles(tmp_path)


def turn(turn_id: str, text: str = "hi", at: float = 5) -> dict[str, Any]:
    return new_turn("user", text, at, turn_id=turn_id)


def code_of(work: Any, *arguments: Any) -> str:
    with pytest.raises(VoxgateError) as caught:
        work(*arguments)
    return caught.value.code


def test_what_is_appended_is_read_back_and_a_turn_counts_once(files: ConversationFiles) -> None:
    files.append("a", [turn("1", "Größe/😀" * 20, 5.9)])
    files.append("a", [turn("1", "again", 6), turn("2", "more", 7)])
    found = files.get("a")
    assert [one["id"] for one in found["turns"]] == ["1", "2"]
    assert (found["title"], found["createdAt"], found["updatedAt"]) == (("Größe/😀" * 20)[:60], 5, 7)


def test_pages_follow_each_other_whatever_is_deleted_between(files: ConversationFiles) -> None:
    for known_id in ("b", "d", "a", "c", "B"):
        files.append(known_id, [turn("1")])
    page, cursor = files.page(2, "")
    assert ([one["id"] for one in page], cursor) == (["B", "a"], "a")
    files.delete("a")
    page, cursor = files.page(3, "a")
    assert ([one["id"] for one in page], cursor) == (["b", "c", "d"], None)


def test_what_is_not_there_is_not_found(files: ConversationFiles) -> None:
    assert code_of(files.get, "x") == code_of(files.delete, "x") == "not_found"


def test_a_link_is_not_followed(files: ConversationFiles, tmp_path: Path) -> None:
    (tmp_path / "x.json").symlink_to(Path(__file__))
    assert code_of(files.delete, "x") == "not_found"
    assert Path(__file__).exists()


@pytest.mark.parametrize("bad", ["../x", "", "a.b", "a/b", "a\n", "a" * 65, "é"])
def test_an_id_that_is_no_name_never_reaches_the_disk(files: ConversationFiles, bad: str) -> None:
    with pytest.raises(ValueError, match="no file name"):
        files.get(bad)


def test_other_files_are_not_conversations(files: ConversationFiles, tmp_path: Path) -> None:
    for name in (".a.new", "a.b.json", "notes.txt", ".hidden.json"):
        (tmp_path / name).write_text("{}")
    assert files.page(10, "") == ([], None)


def test_a_conversation_has_an_end(files: ConversationFiles) -> None:
    files.append("a", [turn(f"t{place}") for place in range(MAX_TURNS)])
    assert code_of(files.append, "a", [turn("one-more")]) == "conflict"
    assert len(files.get("a")["turns"]) == MAX_TURNS


def test_a_directory_has_one_too(tmp_path: Path) -> None:
    files = ConversationFiles(tmp_path, max_conversations=2)
    for known_id in ("a", "b"):
        files.append(known_id, [turn("1")])
    assert code_of(files.append, "c", [turn("1")]) == "capacity_exceeded"
    files.append("a", [turn("2")])


def test_a_directory_that_is_not_there_is_said_and_not_made(tmp_path: Path) -> None:
    files = ConversationFiles(tmp_path / "none")
    assert not files.works
    assert code_of(files.page, 1, "") == "unavailable"
    assert not (tmp_path / "none").exists()


def test_a_damaged_file_is_an_error_and_not_an_empty_conversation(files: ConversationFiles, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ValueError, match="Expected `object`"):
        files.get("x")


def test_a_file_is_for_its_owner_and_nothing_else_is_left(files: ConversationFiles, tmp_path: Path) -> None:
    files.append("a", [turn("1")])
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "a.json"]


def test_ids_made_here_sort_by_their_time() -> None:
    assert new_id(1) < new_id(2) < new_id(1_764_000_000)
    assert new_id(1) != new_id(1)
