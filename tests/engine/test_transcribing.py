from tests.engine.wire import types_of
from voxgate_engine.items import Item, ItemStore, Part
from voxgate_engine.transcribing import TRANSCRIPTION_SECONDS, Transcriber


def test_transcripts_come_a_moment_later_and_in_turn() -> None:
    items = ItemStore()
    transcriber = Transcriber(("one two", "three"))
    for name in ("a", "b"):
        items.add(Item(name, "message", role="user", parts=[Part("input_audio", audio_ms=950)]))
        transcriber.ask(name, 950, now=5.0)
    assert transcriber.due == 5.0 + TRANSCRIPTION_SECONDS
    assert transcriber.advance(5.0, items) == []
    events = transcriber.advance(6.0, items)
    assert [kind.rpartition(".")[2] for kind in types_of(events)] == [
        "delta",
        "delta",
        "completed",
        "delta",
        "completed",
    ]
    assert events[2]["usage"] == {
        "type": "tokens", "total_tokens": 12, "input_tokens": 10, "output_tokens": 2,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 10},
    }  # fmt: skip
    assert [item.parts[0].transcript for item in items] == ["one two", "three"]
    assert transcriber.due is None


def test_a_deleted_item_is_passed_over() -> None:
    transcriber = Transcriber(("one",))
    transcriber.ask("gone", 100, now=0.0)
    assert transcriber.advance(1.0, ItemStore()) == []


def test_another_item_of_the_same_id_is_no_audio_and_gets_no_transcript() -> None:
    items = ItemStore()
    transcriber = Transcriber(("one", "two"))
    for name, item in (("a", Item("a", "function_call")), ("b", Item("b", "message", parts=[Part("input_text")]))):
        transcriber.ask(name, 100, now=0.0)
        items.add(item)
    assert transcriber.advance(1.0, items) == []
    assert [part.transcript for item in items for part in item.parts] == [None]
