import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import VoxgateError
from voxgate_responder.endpoints.judging import MAX_NESTING, check_body_headers, judge, read_body, read_query

SCHEMA: dict[str, Any] = {
    "required": ["a"],
    "properties": {
        "a": {"description": "must be one letter", "type": "string", "pattern": "^[a-z](?![\\s\\S])"},
        "n": {"description": "must be a whole number", "type": "integer"},
    },
    "additionalProperties": False,
}


def refused(work: Any, *arguments: Any) -> tuple[str, Any]:
    with pytest.raises(VoxgateError) as caught:
        work(*arguments)
    return caught.value.code, caught.value.details


def outcome(work: Any, *arguments: Any) -> str:
    try:
        work(*arguments)
    except VoxgateError as error:
        return error.code
    return "read"


@pytest.mark.parametrize(
    ("value", "details"),
    [
        ({}, {"a": "is required"}),
        ({"a": "A"}, {"a": "must be one letter"}),
        ({"a": "a\n", "n": 1.5}, {"a": "must be one letter", "n": "must be a whole number"}),
        ({"a": "a", "x" * 100: 1}, {"x" * 64: "is not known here"}),
        ({"n": True, "z": 0}, {"a": "is required", "n": "must be a whole number", "z": "is not known here"}),
    ],
)
def test_a_fault_says_what_a_member_must_be(value: dict[str, Any], details: dict[str, str]) -> None:
    assert refused(judge, value, SCHEMA) == ("invalid_input", details)


def test_only_some_of_many_unknown_members_are_named() -> None:
    _, details = refused(judge, {"a": "a", **{f"k{place}": 0 for place in range(100)}}, SCHEMA)
    assert list(details) == [f"k{place}" for place in range(8)]


def test_a_query_gives_the_known_parameters_decoded() -> None:
    schema = {"properties": {"q": {"description": "must be text", "type": "string"}}}
    assert read_query("x=1&q=a%2Fb+c%C3%A9&&=&y", schema) == {"q": "a/b cé"}
    assert read_query("q", schema) == {"q": ""}
    assert refused(read_query, "q=1&%71=2", schema) == ("invalid_input", {"q": "was given twice"})


@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_any_query_is_read_or_refused(query: str) -> None:
    schema = {"properties": {"a": {"description": "must be b", "const": "b"}}}
    assert outcome(read_query, query, schema) in ("read", "invalid_input")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"NaN", b'{"a":1e999}', b'"\\ud800"', b"\xff", b"[" * 10_000, b'{"\\u0000":1}',
     b'[{"a":{"\\u0000x":1}}]',
     b"[" * (MAX_NESTING + 1) + b"]" * (MAX_NESTING + 1), b"\xef\xbb\xbf{}"],
)  # fmt: skip
def test_what_no_strict_parser_reads_is_malformed(body: bytes) -> None:
    assert refused(read_body, body) == ("malformed_json", None)


@pytest.mark.parametrize("body", [b"null", b"1", b'"a"', b"[]", b"true"])
def test_a_body_is_an_object(body: bytes) -> None:
    assert refused(read_body, body) == ("invalid_input", {"body": "must be a JSON object"})


def test_a_body_as_deep_as_can_be_is_read() -> None:
    inner = "[" * (MAX_NESTING - 1) + "]" * (MAX_NESTING - 1)
    assert list(read_body(f'{{"a":{inner}}}'.encode())) == ["a"]


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name[0] != "\0"), st.text() | st.integers() | st.none()))
def test_any_plain_object_is_read_back(value: dict[str, Any]) -> None:
    assert read_body(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assert outcome(read_body, body) in ("read", "malformed_json", "invalid_input")


@pytest.mark.parametrize(("content_type", "encoding"), [("text/plain", ""), ("", ""), ("a/b", "gzip"), ("a/b", "br")])
def test_a_body_of_another_type_or_a_compressed_one_is_refused(content_type: str, encoding: str) -> None:
    code, _ = refused(check_body_headers, content_type, encoding, ("a/b",))
    assert code == "unsupported_media_type"
    check_body_headers("a/b", "Identity", ("a/b",))
