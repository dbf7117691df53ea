import json

import pytest

from tests.engine.wire import text_of
from voxgate_engine.faults import Fault
from voxgate_engine.protocol import Append, CreateResponse, parse_client_event


def refusal(message: str | bytes) -> Fault:
    with pytest.raises(Fault) as refused:
        parse_client_event(message)
    return refused.value


def test_audio_arrives_as_bytes() -> None:
    event = parse_client_event(
        json.dumps({"type": "input_audio_buffer.append", "audio": text_of(b"ab"), "event_id": "e"})
    )
    assert event == Append(audio=b"ab", event_id="e")


def test_an_event_with_nothing_optional_is_whole() -> None:
    assert parse_client_event(b'{"type":"response.create"}') == CreateResponse()


@pytest.mark.parametrize("audio", ["!!!!", "YQ", "Y Q==", "YQ==\n", "-_-_", 7, None])
def test_audio_that_is_not_base64_is_refused(audio: object) -> None:
    fault = refusal(json.dumps({"type": "input_audio_buffer.append", "audio": audio, "event_id": "mine"}))
    assert fault.param == "audio"
    assert fault.event_id == "mine"


@pytest.mark.parametrize(
    "message",
    ["", "{", "nonsense", '{"type":"response.create"', '"x', b"\xff\xfe", b'{"type":"\xff"}', '{"a":NaN}',
     '{"type":"session.update","session":{"type":"realtime","tracing":{"metadata":' + '{"a":' * 5_000 + "1" + "}" * 5_003],
)  # fmt: skip
def test_what_is_not_json_is_refused_as_such(message: str | bytes) -> None:
    assert refusal(message).code == "invalid_json"


@pytest.mark.parametrize("message", ["[]", "7", "null", '"text"'])
def test_json_that_is_no_object_is_refused(message: str) -> None:
    assert refusal(message).code == "invalid_type"


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ({"type": 5}, "invalid_value", "type"),
        ({"type": "response.audio.create"}, "invalid_value", "type"),
        ({"type": "transcription_session.update"}, "invalid_value", "type"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "response.cancel", "force": True}, "unknown_parameter", "force"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
        ({"type": "session.update", "session": {"type": "transcription"}}, "invalid_value", "session.type"),
        (
            {"type": "session.update", "session": {"type": "realtime", "modalities": ["audio"]}},
            "unknown_parameter",
            "session.modalities",
        ),
        (
            {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["audio", "text"]}},
            "invalid_value",
            "session.output_modalities",
        ),
        (
            {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"speed": 9}}}},
            "invalid_value",
            "session.audio.output.speed",
        ),
        (
            {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": {}}}}},
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        ({"type": "session.update", "session": {"type": "realtime", "tools": "all"}}, "invalid_type", "session.tools"),
        (
            {"type": "session.update", "session": {"type": "realtime", "tools": [{"type": "mcp", "name": "x"}]}},
            "invalid_value",
            "session.tools[0].type",
        ),
        ({"type": "response.create", "response": {"max_output_tokens": 4097}}, "invalid_value", None),
        ({"type": "response.create", "response": {"max_output_tokens": 0}}, "invalid_value", None),
        ({"type": "response.create", "event_id": "x" * 513}, "invalid_value", "event_id"),
        ({"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
         "invalid_value", "audio_end_ms"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(event: dict[str, object], code: str, param: str | None) -> None:
    fault = refusal(json.dumps(event))
    assert fault.code == code
    if param is not None:
        assert fault.param == param


def test_an_unknown_type_is_answered_with_the_known_ones() -> None:
    message = refusal('{"type":"session.begin"}').message
    assert "'session.begin'" in message
    assert "'session.update'" in message


def test_a_long_unknown_type_is_not_repeated_whole() -> None:
    assert len(refusal(json.dumps({"type": "x" * 100_000})).message) < 1_000


def test_the_clients_own_id_comes_back_with_its_fault() -> None:
    assert refusal('{"event_id":"mine","type":"nope"}').event_id == "mine"
    assert refusal('{"event_id":7,"type":"nope"}').event_id is None


def test_metadata_is_bounded() -> None:
    many = {str(number): "x" for number in range(17)}
    assert refusal(json.dumps({"type": "response.create", "response": {"metadata": many}})).code == "invalid_value"
