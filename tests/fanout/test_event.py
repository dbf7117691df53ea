"""Events: bodies read without mercy, and CloudEvents that come back as they went."""

import json
import math
import re
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxgate_core import MAX_JSON_NESTING, SESSION_ENDED, Event, VoxgateError
from voxgate_fanout import event as module
from voxgate_fanout.event import MAX_EVENT, decode_event, encode_event, new_event_id, read_event

NOW = 1_764_108_300.25
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=4)
MILLISECONDS = st.integers(-2_000_000_000_000, 8_000_000_000_000)
"""From 1906 to 2223: near enough for a double to tell one microsecond from the next."""


def read(body: bytes) -> Event:
    return read_event(body, source="/gateway", now=NOW, event_id="evt_0")


def posted(**members: object) -> Event:
    return read(json.dumps({"type": "order.paid", "data": {}} | members).encode())


def refusal(body: bytes) -> VoxgateError:
    with pytest.raises(VoxgateError) as caught:
        read(body)
    return caught.value


def details(**members: object) -> Mapping[str, object]:
    error = refusal(json.dumps({"type": "order.paid", "data": {}} | members).encode())
    assert error.code == "invalid_input"
    return error.details or {}


def test_what_the_caller_leaves_out_is_filled_in() -> None:
    assert posted(data={"a": 1}) == Event("evt_0", "/gateway", "order.paid", NOW, None, {"a": 1})


def test_what_the_caller_sets_is_kept() -> None:
    event = posted(id="o-1", source="urn:shop:7", time="2026-11-25T23:05:00.5+01:00", subject="ada")
    assert event == Event("o-1", "urn:shop:7", "order.paid", 1_795_644_300.5, "ada", {})


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01t00:00:00.25z", 0.25),
        ("1970-01-01T00:00:00-00:30", 1800.0),
        ("0001-01-01T00:00:00Z", -62_135_596_800.0),
        ("1970-01-01T00:00:00.1234567891011Z", 0.123456),
    ],
)
def test_times_are_read_as_rfc_3339_writes_them(time: str, seconds: float) -> None:
    assert posted(time=time).time == seconds


@pytest.mark.parametrize(
    "time",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_times_that_no_calendar_has_are_refused(time: str) -> None:
    assert set(details(time=time)) == {"time"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "syntax"),
        (b"{", "syntax"),
        (b'{"type":"a","data":{}} x', "syntax"),
        (b'\xef\xbb\xbf{"type":"a","data":{}}', "syntax"),
        (b"1" * 5000, "syntax"),
        (b'{"type":"\xff","data":{}}', "utf8"),
        (b'{"type":"a","data":{"x":"\xed\xa0\x80"}}', "utf8"),
        (b'{"type":"a","type":"a","data":{}}', "duplicate_key"),
        (b'{"type":"a","data":{"x":[{"b":1,"\\u0062":1}]}}', "duplicate_key"),
        (b'{"type":"a","data":{"x":NaN}}', "constant"),
        (b'{"type":"a","data":{"x":[-Infinity]}}', "constant"),
        (b'{"type":"a","data":{"x":1e999}}', "constant"),
        (b'{"type":"a","data":{"x":"\\ud800"}}', "surrogate"),
        (b'{"type":"a","data":{"\\udc00":1}}', "surrogate"),
        (b"[" * (MAX_JSON_NESTING + 1) + b"]" * (MAX_JSON_NESTING + 1), "nesting"),
        (b'{"a":' * MAX_JSON_NESTING + b"[]" + b"}" * MAX_JSON_NESTING, "nesting"),
        (b"[" * 100_000, "nesting"),
    ],
    ids=lambda value: str(value[:24]),
)
def test_json_that_could_be_misread_is_refused_by_name(body: bytes, reason: str) -> None:
    error = refusal(body)
    assert (error.code, error.details) == ("malformed_json", {"reason": reason})


@given(st.binary())
@example(b'{"type":"a","data":{"a":1}}')
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        event = read(body)
    except VoxgateError as error:
        if error.code not in {"malformed_json", "invalid_input"}:
            raise
    else:
        assert event.data == json.loads(body)["data"]


@given(json_objects, st.booleans())
def test_data_is_read_as_json_reads_it(data: dict[str, object], ascii_only: bool) -> None:
    body = json.dumps({"type": "order.paid", "data": data}, ensure_ascii=ascii_only).encode()
    assert read(body).data == data


def test_nesting_up_to_the_bound_wide_data_and_brackets_in_text_are_read() -> None:
    deep: object = []
    for _ in range(MAX_JSON_NESTING - 3):
        deep = [deep]
    for value in (deep, [{}] * 1000, "[{" * 100):
        assert posted(data={"x": value}).data == {"x": value}


def test_a_body_past_the_bound_is_refused_before_it_is_read() -> None:
    assert refusal(b"{" * (MAX_EVENT + 1)).code == "body_too_large"
    frame = len(b'{"type":"a","data":{"x":""}}')
    longest = b"x" * (MAX_EVENT - frame)
    assert read(b'{"type":"a","data":{"x":"%b"}}' % longest).data == {"x": longest.decode()}


def test_every_wrong_member_is_named_with_what_it_must_be() -> None:
    error = refusal(json.dumps({"id": "a.b", "subject": 7, "data": [], "extra": 1}).encode())
    assert error.details == {
        "id": "must be 1 to 64 letters, digits, - and _",
        "subject": "must be 1 to 256 printable characters",
        "data": "must be a JSON object",
        "type": "is required",
        "extra": "is not a member of an event",
    }


def test_a_body_that_is_no_object_is_named_as_a_whole() -> None:
    assert refusal(b"[]").details == {"body": "must be a JSON object"}


def test_the_gateways_own_types_cannot_be_posted() -> None:
    what = details(type=module.TARGET_DISABLED)["type"]
    assert what == "must not begin with voxgate., which marks the gateway's own notices"
    assert "must be dotted words" in str(details(type=7)["type"])


def test_a_refusal_names_few_unknown_members_and_only_their_beginnings() -> None:
    unknown = details(**{"x" * 1000: 1, **{f"k{number}": 1 for number in range(100)}})
    assert len(unknown) == module.MAX_UNKNOWN
    assert max(map(len, unknown)) == module.MAX_NAME_SHOWN


def test_event_ids_differ_and_fit_every_place_an_id_goes() -> None:
    ids = {new_event_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"evt_[0-9a-f]{32}", event_id) for event_id in ids)
    event_id = ids.pop()
    assert posted(id=event_id).id == event_id


def test_an_event_is_written_as_a_structured_cloudevent() -> None:
    event = Event("evt_1", "/gateway", SESSION_ENDED, 1_764_108_300.1239, "ada", {"seconds": 2})
    assert json.loads(encode_event(event)) == {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "/gateway",
        "type": "voice.session.ended",
        "time": "2025-11-25T22:05:00.123Z",
        "datacontenttype": "application/json",
        "data": {"seconds": 2},
        "subject": "ada",
    }
    assert module.CONTENT_TYPE == "application/cloudevents+json"


def test_a_subject_that_is_absent_is_not_written() -> None:
    assert b"subject" not in encode_event(Event("evt_1", "/gateway", "a", 0.0))


@given(
    st.builds(
        Event,
        id=st.text(min_size=1),
        source=st.text(min_size=1),
        type=st.text(min_size=1),
        time=MILLISECONDS.map(lambda milliseconds: milliseconds / 1000),
        subject=st.none() | st.text(),
        data=json_objects,
    )
)
def test_an_event_comes_back_as_it_was_written(event: Event) -> None:
    back = decode_event(encode_event(event))
    assert (back.id, back.source, back.type, back.subject, back.data) == (
        event.id, event.source, event.type, event.subject, event.data,
    )  # fmt: skip
    assert back.time == event.time
    assert encode_event(back) == encode_event(event)


@given(json_objects, st.sampled_from(["2026-11-25T22:05:00.123Z", "1969-12-31T23:59:59.001Z"]))
def test_a_posted_event_loses_nothing_on_its_way(data: dict[str, object], time: str) -> None:
    written = json.loads(encode_event(posted(id="o-1", subject="ada", time=time, data=data)))
    assert (written["data"], written["time"], written["subject"]) == (data, time, "ada")


def test_mappings_of_any_kind_are_written_as_objects() -> None:
    data = MappingProxyType({"a": MappingProxyType({"b": 1})})
    assert decode_event(encode_event(Event("e", "/g", "a", 0.0, None, data))).data == {"a": {"b": 1}}


def test_an_event_past_the_bound_is_refused() -> None:
    spare = MAX_EVENT - len(encode_event(Event("e", "/g", "a", 0.0, None, {"x": ""})))
    assert len(encode_event(Event("e", "/g", "a", 0.0, None, {"x": "x" * spare}))) == MAX_EVENT
    with pytest.raises(VoxgateError, match="body_too_large"):
        encode_event(Event("e", "/g", "a", 0.0, None, {"x": "x" * (spare + 1)}))


@pytest.mark.parametrize(
    "event",
    [
        Event("e", "/g", "a", math.nan),
        Event("e", "/g", "a", math.inf),
        Event("e", "/g", "a", 1e30),
        Event("e", "/g", "a", 0.0, "\ud800"),
        Event("e", "/g", "a", 0.0, None, {"x": object()}),
    ],
    ids=["nan", "infinity", "far future", "surrogate", "object"],
)
def test_an_event_that_json_cannot_hold_is_refused(event: Event) -> None:
    with pytest.raises(VoxgateError, match="invalid_input"):
        encode_event(event)


def test_data_that_holds_itself_is_refused() -> None:
    data: dict[str, object] = {}
    data["x"] = data
    with pytest.raises(VoxgateError, match="invalid_input"):
        encode_event(Event("e", "/g", "a", 0.0, None, data))


@given(st.binary())
@example(encode_event(Event("e", "/g", "a", 0.0)).replace(b'"1.0"', b'"2.0"'))
@example(encode_event(Event("e", "/g", "a", 0.0)).replace(b"1970-01", b"1970-13"))
@example(b'{"specversion":"1.0","data":' + b"[" * 5000)
def test_other_bytes_are_no_event(encoded: bytes) -> None:
    with pytest.raises(ValueError, match="not an event written by encode_event"):
        decode_event(encoded)
