"""The schema of a posted event, as any draft 2020-12 validator reads it."""

import pytest
from jsonschema import Draft202012Validator

from voxgate_fanout.schemas import load_schema

EVENT = {"type": "order.paid", "data": {}}


def is_valid(event: object) -> bool:
    return Draft202012Validator(load_schema("event")).is_valid(event)


def test_the_schema_is_a_valid_schema_and_every_load_is_a_copy() -> None:
    schema = load_schema("event")
    Draft202012Validator.check_schema(schema)
    schema.clear()
    assert load_schema("event")["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_member_says_what_it_must_be() -> None:
    assert all(member["description"].startswith("must be ") for member in load_schema("event")["properties"].values())


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"id": "a"},
        {"id": "A-z_0" * 12},
        {"type": "a"},
        {"type": "a-b_c.0.d"},
        {"type": "voxgates.x"},
        {"type": "a" * 128},
        {"subject": "zoë, 4th floor 🎙"},
        {"subject": "x" * 256},
        {"source": "/a"},
        {"source": "a/b:c"},
        {"source": "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"},
        {"source": "https://user@example.com:8443/a%20b?c=d/e?#f?g"},
        {"source": "http://[2001:db8::1]:80/a"},
        {"source": "mailto:a@example.com"},
        {"source": "#fragment"},
        {"source": "?query"},
        {"time": "2026-11-25T22:05:00Z"},
        {"time": "2026-11-25t22:05:00.123456789z"},
        {"time": "2026-11-25T22:05:00-23:59"},
        {"data": {"a": [1, None, {"b": 2.5}]}},
    ],
)
def test_an_event_within_the_rules_is_valid(change: dict[str, object]) -> None:
    assert is_valid(EVENT | change)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "a" * 65},
        {"id": "a.b"},
        {"id": "a\n"},
        {"id": "é"},
        {"id": 1},
        {"type": ""},
        {"type": "a."},
        {"type": ".a"},
        {"type": "a..b"},
        {"type": "A"},
        {"type": "a\n"},
        {"type": "a b"},
        {"type": "*"},
        {"type": "a" * 129},
        {"type": "voxgate.target.disabled"},
        {"type": "voxgate."},
        {"type": None},
        {"subject": ""},
        {"subject": "x" * 257},
        {"subject": "a\nb"},
        {"subject": "a\n"},
        {"subject": "\x7f"},
        {"subject": "\u0085"},
        {"subject": "\u2028"},
        {"subject": "\u202e"},
        {"subject": "\uffff"},
        {"subject": None},
        {"source": ""},
        {"source": "x" * 257},
        {"source": "a b"},
        {"source": "1a:b"},
        {"source": ":a"},
        {"source": "a%zz"},
        {"source": "a#b#c"},
        {"source": "a\n"},
        {"source": "http://[::1"},
        {"source": "a[b]"},
        {"source": "http://[::1]x/"},
        {"source": "http://é/"},
        {"time": "2026-11-25"},
        {"time": "2026-11-25 22:05:00Z"},
        {"time": "2026-11-25T22:05:00"},
        {"time": "2026-11-25T22:05:00Z\n"},
        {"time": "2026-11-25T22:05:00+0100"},
        {"time": "2026-11-25T22:05:00+24:00"},
        {"time": "2026-11-25T22:05:00+01:60"},
        {"time": "2026-11-25T22:05:00.Z"},
        {"time": "20261125T220500Z"},
        {"time": "٢٠٢٦-11-25T22:05:00Z"},
        {"time": 1732572300},
        {"data": []},
        {"data": "{}"},
        {"data": None},
        {"specversion": "1.0"},
        {"datacontenttype": "application/json"},
        {"Type": "a"},
    ],
)
def test_an_event_that_breaks_a_rule_is_invalid(change: dict[str, object]) -> None:
    assert not is_valid(EVENT | change)


@pytest.mark.parametrize("event", [{}, {"type": "a"}, {"data": {}}, [], "a", None, [EVENT]])
def test_what_lacks_a_type_or_data_is_invalid(event: object) -> None:
    assert not is_valid(event)
