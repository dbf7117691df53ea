import msgspec
import pytest

from voxgate_engine.faults import Fault
from voxgate_engine.items import Item, ItemInput, ItemStore, Part, item_from_input


def given(**fields: object) -> ItemInput:
    return msgspec.convert(fields, ItemInput)


def message(item_id: str, audio: bytes = b"") -> Item:
    return Item(item_id, "message", role="user", parts=[Part("input_audio", audio=bytearray(audio))])


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        ({"type": "message", "content": []}, "missing_required_parameter", "item.role"),
        ({"type": "function_call", "name": "f"}, "missing_required_parameter", "item.arguments"),
        ({"type": "function_call_output", "output": ""}, "missing_required_parameter", "item.call_id"),
        ({"type": "item_reference"}, "missing_required_parameter", "item.id"),
        (
            {"type": "function_call", "name": "f", "arguments": "{}", "output": ""},
            "unknown_parameter",
            "item.output",
        ),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "x"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": ""}, {"type": "input_audio"}]},
            "invalid_value",
            "item.content[1].type",
        ),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_image"}]},
            "missing_required_parameter",
            "item.content[0].image_url",
        ),
    ],
)  # fmt: skip
def test_an_item_that_lacks_or_exceeds_is_refused(fields: dict[str, object], code: str, param: str) -> None:
    with pytest.raises(Fault) as refused:
        item_from_input(given(**fields), "item_1")
    assert (refused.value.code, refused.value.param) == (code, param)


def test_every_kind_of_part_is_shown_as_it_came() -> None:
    content: list[dict[str, object]] = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_audio", "audio": "AAAA", "transcript": "hm"},
    ]
    item = item_from_input(given(type="message", role="user", content=content), "item_1")
    assert item.render(with_audio=True)["content"] == [content[0], content[1], content[2]]
    assert "audio" not in item.parts[2].render(with_audio=False)


def test_a_new_item_goes_where_it_is_told() -> None:
    store = ItemStore()
    assert store.add(message("b")) is None
    assert store.add(message("d")) == "b"
    assert store.add(message("a"), after="root") is None
    assert store.add(message("c"), after="b") == "b"
    assert [item.id for item in store] == ["a", "b", "c", "d"]
    assert store.previous_of("d") == "c"
    store.remove("c")
    assert store.previous_of("d") == "b"
    assert "c" not in store
    assert len(store) == 3


@pytest.mark.parametrize(
    ("item_id", "after", "code"),
    [
        ("a", None, "item_create_duplicate_id"),
        ("b", "nowhere", "item_create_invalid_previous_item_id"),
        ("b", None, "conversation_full"),
    ],
)
def test_a_store_refuses_what_does_not_fit(item_id: str, after: str | None, code: str) -> None:
    store = ItemStore(max_items=1)
    store.add(message("a"))
    with pytest.raises(Fault) as refused:
        store.add(message(item_id), after=after)
    assert refused.value.code == code
    assert [item.id for item in store] == ["a"]


def test_past_the_audio_bound_the_oldest_items_forget_theirs() -> None:
    store = ItemStore(max_audio_bytes=10)
    for name in ("a", "b", "c"):
        store.add(message(name, audio=b"12345"))
    assert [item.audio_bytes for item in store] == [0, 5, 5]


def test_truncated_audio_keeps_whole_samples_and_no_words() -> None:
    part = Part("output_audio", transcript="hello", audio=bytearray(480), audio_ms=10)
    part.truncate(3)
    assert (len(part.audio), part.audio_ms, part.transcript) == (144, 3, "")
    part.truncate(0)
    part.truncate(0)
    assert (len(part.audio), part.audio_ms) == (0, 0)


def test_a_call_is_found_by_its_id() -> None:
    store = ItemStore()
    store.add(Item("a", "function_call", call_id="call_1"))
    assert store.holds_call("call_1")
    assert not store.holds_call("call_2")


def test_text_is_bounded_over_all_items() -> None:
    store = ItemStore(max_text_chars=10)
    for item in (
        Item("a", "function_call", name="f", arguments="{}"),
        Item("b", "message", role="user", parts=[Part("input_text", text="1234567")]),
    ):
        store.require_text_room(item)
        store.add(item)
    with pytest.raises(Fault) as refused:
        store.require_text_room(Item("c", "message", role="user", parts=[Part("input_image", image_url="x")]))
    assert refused.value.code == "conversation_full"
