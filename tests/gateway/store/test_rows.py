"""Rows: what each mode keeps of the events the relay really builds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.store.heard import USAGE, Heard
from voxgate_core import Event, ManualClock, SessionClosed
from voxgate_gateway.store.modes import StoreMode
from voxgate_gateway.store.rows import KEPT, Rows, Waiting, rows_of, session_of
from voxgate_realtime.transcript import ResponseDone, ToolCall, Transcript, Usage
from voxgate_realtime.voice_events import VoiceEvents

SAID = "write to ada@example.com"
ARGUMENTS = '{"card": "4111111111111111"}'


def built() -> list[Event]:
    """One session as the relay tells it."""
    events = VoiceEvents("/voxgate", ManualClock(1000.0), session_id="s-1", subject="ada")
    summary = SessionClosed("s-1", "ada", 1000, "client_closed", 2.5, 3, 40, 5, 60)
    return [
        events.started(origin="https://app.example", dialect="native", model="m-1"),
        events.transcript(Transcript("user", "i-1", SAID, False), turn=1),
        events.tool(ToolCall("c-1", "pay", ARGUMENTS, True)),
        events.turn(ResponseDone("r-1", "completed", "secret words", False, Usage(10, 20, 30)), turn=1, waited=0.08),
        events.ended(summary, turns=1, usage=Usage(10, 20, 30)),
    ]


def rows(mode: str, events: list[Event] | None = None) -> Rows:
    return rows_of([Waiting(event, StoreMode(mode)) for event in events or built()])


def test_every_event_of_a_session_is_one_that_is_kept() -> None:
    assert {event.type for event in built()} == KEPT


def test_off_keeps_nothing() -> None:
    assert rows("off") == Rows()


def test_metadata_keeps_no_word_that_was_said() -> None:
    found = rows("metadata")
    assert [(row["role"], row["text"], row["redacted"]) for row in found.transcripts] == [("user", None, False)]
    assert [(row["name"], row["arguments"], row["truncated"]) for row in found.tool_calls] == [("pay", None, True)]
    assert "ada@example.com" not in str(found)
    assert "4111" not in str(found)


def test_redacted_keeps_words_without_personal_data() -> None:
    found = rows("redacted")
    assert [(row["text"], row["redacted"]) for row in found.transcripts] == [("write to [email]", True)]
    assert [row["arguments"] for row in found.tool_calls] == ['{"card": "[card]"}']
    plain = rows("redacted", [Heard().said("hello")])
    assert [(row["text"], row["redacted"]) for row in plain.transcripts] == [("hello", False)]


def test_full_keeps_words_as_they_came() -> None:
    found = rows("full")
    assert [row["text"] for row in found.transcripts] == [SAID]
    assert [row["arguments"] for row in found.tool_calls] == [ARGUMENTS]


def test_a_text_is_kept_once_though_its_turn_repeats_it() -> None:
    assert "secret words" not in str(rows("full"))


def test_everything_else_has_a_column() -> None:
    found = rows("full")
    events = built()
    assert list(found.sessions.values()) == [{"id": "s-1", "subject": "ada", "mode": "full", "started_at": 1000.0}]
    assert found.started == [
        {"session": "s-1", "at": 1000.0, "origin": "https://app.example", "dialect": "native", "model": "m-1"}
    ]
    (turn,) = found.turns
    assert len(turn.pop("event_id")) == len(events[3].id)
    assert turn == {
        "session_id": "s-1", "at": 1000.0, "turn": 1, "response_id": "r-1", "status": "completed", "milliseconds": 80,
        "input_tokens": 10, "output_tokens": 20, "total_tokens": 30,
    }  # fmt: skip
    (end,) = found.ended
    end.pop("event")
    assert end == {
        "session": "s-1", "at": 1000.0, "close_code": 1000, "reason": "client_closed", "seconds": 2.5, "turns": 1,
        "client_messages": 3, "client_bytes": 40, "upstream_messages": 5, "upstream_bytes": 60,
        "input_tokens": 10, "output_tokens": 20, "total_tokens": 30,
    }  # fmt: skip


def test_several_sessions_in_one_batch_have_a_row_each() -> None:
    found = rows("full", [Heard("s-1").said("a"), Heard("s-2", "bob").said("b"), Heard("s-1").said("c")])
    assert {session: row["subject"] for session, row in found.sessions.items()} == {"s-1": "ada", "s-2": "bob"}
    assert [row["session_id"] for row in found.transcripts] == ["s-1", "s-2", "s-1"]


def test_an_event_of_nobody_has_no_row() -> None:
    nobody = [Event("evt_1", "/voxgate", "voice.turn.completed", 1.0, data=data) for data in ({}, {"sub": "ada"})]
    assert rows("full", nobody) == Rows()
    assert session_of(nobody[0]) is None


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_what_no_database_takes_is_replaced(text: str) -> None:
    (row,) = rows("full", [Heard().said(text)]).transcripts
    assert row["text"].encode().decode().replace("?", "\ufffd") == "a\ufffdb"


json_data = st.dictionaries(
    st.sampled_from(["text", "role", "turn", "usage", "code", "reason", "seconds", "arguments", "name", "turns"]),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just({"inputTokens": -1})),
)


@given(st.sampled_from(sorted(KEPT)), json_data, st.sampled_from(StoreMode))
def test_members_of_any_type_raise_nothing(kind: str, data: dict[str, object], mode: StoreMode) -> None:
    event = Event("evt_1", "/voxgate", kind, 1.0, data={"sessionId": "s", "sub": "ada", **data})
    rows_of([Waiting(event, mode)])


def test_usage_as_the_tests_tell_it_is_that_of_the_relay() -> None:
    assert built()[-1].data["usage"] == USAGE
