"""The shapes and their bytes."""

import json
import math
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from voxgate_core import ERRORS, Answer, VoxgateError, new_trace
from voxgate_responder import encode, instance_of, load_schema, openai_error_body, problem_body, success_body

SUCCESS = Draft202012Validator(load_schema("envelope-success"))
PROBLEM = Draft202012Validator(load_schema("envelope-problem"))
SURROGATES = st.text(st.characters(codec=None, categories=["L", "Cs", "Cc", "So"]))
JSON_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | SURROGATES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SURROGATES, inner, max_size=4),
    max_leaves=20,
)


def refuse_constant(name: str) -> object:
    raise AssertionError(f"{name} is not JSON")


@given(st.dictionaries(SURROGATES, JSON_DATA, max_size=5))
def test_any_json_data_makes_a_valid_envelope_and_the_same_bytes_again(data: dict[str, object]) -> None:
    body = success_body(Answer(data), new_trace().trace_id)
    encoded = encode(body)
    SUCCESS.validate(json.loads(encoded.decode("utf-8"), parse_constant=refuse_constant))
    assert encode(body) == encoded


@given(
    st.sampled_from(sorted(ERRORS)),
    SURROGATES,
    st.none() | st.dictionaries(SURROGATES, JSON_DATA, max_size=3),
    SURROGATES,
)
def test_any_error_makes_a_valid_problem(code: str, message: str, details: dict[str, object] | None, path: str) -> None:
    error = VoxgateError(code, message, details=details)
    body = json.loads(encode(problem_body(error, new_trace().trace_id, instance_of(path))))
    PROBLEM.validate(body)
    assert body["instance"].isascii()
    shown = json.loads(encode(openai_error_body(error)))
    assert set(shown["error"]) == {"message", "type", "param", "code"}


def test_success_comes_first_then_trace_data_and_legacy() -> None:
    body = success_body(Answer({"a": 1}, legacy={"old": 2}), "t" * 32)
    assert list(body.items()) == [("success", True), ("traceId", "t" * 32), ("data", {"a": 1}), ("old", 2)]


@pytest.mark.parametrize("name", ["success", "traceId", "data", "error"])
def test_a_legacy_field_may_not_shadow_the_envelope(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        success_body(Answer({}, legacy={name: 1}), "t")


def test_numbers_that_json_lacks_become_null() -> None:
    assert encode({"a": math.nan, "b": [math.inf, -math.inf]}) == b'{"a":null,"b":[null,null]}'


def test_a_lone_surrogate_is_replaced_and_a_pair_joined() -> None:
    body = {"a\ud800": ("x\udfff", MappingProxyType({"b": {"\ud83d\ude00"}})), "n": 1}
    assert json.loads(encode(body)) == {"a�": ["x�", {"b": ["😀"]}], "n": 1}


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        encode({"a": object()})


def test_a_problem_without_a_path_names_the_occurrence_by_its_trace() -> None:
    trace_id = new_trace().trace_id
    body = problem_body(VoxgateError("draining", ""), trace_id, status=504)
    assert body["instance"] == f"urn:voxgate:trace:{trace_id}"
    assert body["status"] == 504
    assert body["detail"] == "This node is going down; resume elsewhere"
    PROBLEM.validate(json.loads(encode(body)))


@pytest.mark.parametrize(
    ("path", "instance"),
    [("/a b", "/a%20b"), ("//evil.example/x", "/.//evil.example/x"), ("", "/"), ("*", "*"), ("a:b", "/a:b"),
     ('/"<\n', "/%22%3C%0A"), ("/a?b#c", "/a%3Fb%23c"), ("/" + "a" * 5000, "/" + "a" * 1023)],
)  # fmt: skip
def test_an_instance_is_a_uri_reference_on_this_host(path: str, instance: str) -> None:
    assert instance_of(path) == instance


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("quota_exceeded", "rate_limit_error"),
        ("internal_error", "server_error"),
        ("not_found", "invalid_request_error"),
    ],
)
def test_an_openai_error_has_openai_s_type_and_param(code: str, kind: str) -> None:
    shown = openai_error_body(VoxgateError(code, "m", details={"param": "session.voice"}))
    assert shown == {"error": {"message": "m", "type": kind, "param": "session.voice", "code": code}}
    assert openai_error_body(VoxgateError(code, "m", details={"param": 1}))["error"] == {
        "message": "m", "type": kind, "param": None, "code": code,
    }  # fmt: skip
