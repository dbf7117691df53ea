import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import InputAudioBufferCommitEvent

from voxgate_core import VoxgateError
from voxgate_realtime.events import APPEND, COMMIT, COMMIT_ROOM, is_commit, screen_client, screen_upstream

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
base64_text = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", max_size=64)


def first_type_wins(message: bytes) -> Any:
    """What a parser sees that keeps the first of two equal keys."""
    return json.loads(message, object_pairs_hook=lambda pairs: dict(reversed(pairs)))


@pytest.mark.parametrize("spaces", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("event_id", [None, "evt_1"])
def test_an_append_goes_on_as_the_same_bytes(spaces: tuple[str, str], event_id: str | None) -> None:
    event = {"type": APPEND, "audio": "AAAA"} | ({} if event_id is None else {"event_id": event_id})
    message = json.dumps(event, separators=spaces).encode()
    assert screen_client(message) is message


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":"session.update","type":"input_audio_buffer.append","audio":"AAAA"}',
        b'{"type":"input_audio_buffer.append","audio":"AAAA","type":"session.update"}',
        b'{"\\u0074ype":"session.update","type":"input_audio_buffer.append","audio":"AAAA"}',
        b'{"type":"input_audio_buffer.append","audio":"AAAA","\\u0074ype":"session.update"}',
        b'{"type":"input_audio_buffer.append","event_id":"e","audio":"","type":"x"}',
        b'{"type":"x","type":"input_audio_buffer.append"}',
        b'{"type":"","type":"input_audio_buffer.append","audio":""}',
    ],
)
def test_a_type_written_twice_means_one_thing_on_both_sides(message: bytes) -> None:
    forwarded = screen_client(message)
    assert first_type_wins(forwarded) == json.loads(forwarded) == json.loads(message)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4), st.text(min_size=1, max_size=30))
def test_any_other_event_keeps_its_meaning(fields: dict[str, Any], kind: str) -> None:
    event = {key: value for key, value in fields.items() if key.lower() != "type"} | {"type": kind}
    assert json.loads(screen_client(json.dumps(event).encode())) == event


@given(
    st.lists(st.tuples(st.sampled_from(["type", "audio", "event_id", "\\u0074ype", "x"]), base64_text), max_size=5),
    st.integers(0, 5),
    st.sampled_from([",", ", "]),
)
def test_no_spelling_of_an_append_lets_two_parsers_disagree(
    fields: list[tuple[str, str]], at: int, comma: str
) -> None:  # fmt: skip
    fields.insert(at, ("type", APPEND))
    message = "{" + comma.join(f'"{key}":"{value}"' for key, value in fields) + "}"
    forwarded = screen_client(message.encode())
    assert first_type_wins(forwarded)["type"] == json.loads(forwarded)["type"] == json.loads(message)["type"]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b'"type"',
        b"{}",
        b'{"type":1}',
        b'{"type":null}',
        b'{"type":"a"',
        b'{"type":"a"}x',
        b'\xef\xbb\xbf{"type":"a"}',
        b'{"type":"a","x":NaN}',
        b'{"type":"a","x":"\xff"}',
        b'{"type":"input_audio_buffer.append","audio":"\xff"}',
        b'{"type":"a","x":"\x01"}',
        b'{"type":"a","x":' + b"[" * 100_000,
        b'{"type":"a","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"type":"a","Type":"b"}',
        b'{"TYPE":"b","type":"a"}',
    ],
)
def test_what_is_not_an_event_is_refused(message: bytes) -> None:
    with pytest.raises(VoxgateError) as refused:
        screen_client(message)
    assert refused.value.kind.close_code == 1007


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(message: bytes) -> None:
    try:
        json.loads(message)["type"].encode()
    except (ValueError, TypeError, LookupError, AttributeError):
        with pytest.raises(VoxgateError):
            screen_client(message)


def test_a_commit_is_told_from_other_client_events() -> None:
    longest_id = "e" * 512  # the reference allows no longer one
    commit = InputAudioBufferCommitEvent(type="input_audio_buffer.commit", event_id=longest_id)
    assert is_commit(screen_client(commit.model_dump_json().encode()))
    assert not is_commit(b'{"type":"input_audio_buffer.clear"}')
    assert not is_commit(json.dumps({"type": COMMIT, "event_id": "e" * COMMIT_ROOM}).encode())


def test_an_upstream_event_is_known_by_its_type() -> None:
    assert screen_upstream('{"type":"response.output_audio_transcript.delta","delta":"grüß"}'.encode()) == (
        "response.output_audio_transcript.delta"
    )


@pytest.mark.parametrize("message", [b"", b"[]", b'{"x":1}', b'{"type":"a","x":"\xff"}', b"<html>"])
def test_an_upstream_that_sends_no_event_has_failed(message: bytes) -> None:
    with pytest.raises(VoxgateError) as refused:
        screen_upstream(message)
    assert refused.value.code == "upstream_failed"
