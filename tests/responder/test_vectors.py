"""The shared vectors of the envelope, byte for byte: PHPUnit asserts the same files."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.responder.endpoints.vectors import VECTORS, answer_of, untagged
from voxgate_responder import load_schema

SUCCESS = Draft202012Validator(load_schema("envelope-success"))
PROBLEM = Draft202012Validator(load_schema("envelope-problem"))
LEAST = 120

vectors = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])


@vectors
def test_a_call_makes_the_bytes_that_php_makes(vector: dict[str, Any]) -> None:
    status, headers, body = answer_of(vector["call"], vector["arguments"])
    assert body.decode() == vector["expected_body"]
    assert status == vector["expected_status"]
    assert vector["expected_headers"].items() <= headers.items()
    assert headers["content-length"] == str(len(body))
    assert headers["traceparent"].startswith(f"00-{vector['arguments']['traceparent'][3:35]}-")


@vectors
def test_the_written_answer_says_what_was_asked_for(vector: dict[str, Any]) -> None:
    """An oracle beside the encoder: the standard library reads from the bytes what the call put into them."""
    body, given = json.loads(vector["expected_body"]), vector["arguments"]
    assert body["traceId"] == given["traceparent"][3:35]
    if vector["expected_status"] == 500:
        assert body["error"]["code"] == "internal_error"
        return
    expected: dict[str, Any] = untagged(given.get("legacy", {}))
    if vector["call"] == "success":
        data = untagged(given["data"])
        expected = {"success": True, "data": _as_json(data), **expected}
        SUCCESS.validate(body)
    else:
        shown = {"code": given["code"], "message": given.get("message") or body["title"]}
        if "details" in given:
            shown["details"] = untagged(given["details"])
        expected = {"success": False, "error": shown, "detail": shown["message"], **expected}
        if "legacy" not in given:
            PROBLEM.validate(body)
    assert {name: body[name] for name in expected} == expected


def _as_json(value: Any) -> Any:
    """NaN and the infinities are not JSON: they become null."""
    return None if isinstance(value, float) and not -1.8e308 < value < 1.8e308 else value


def test_there_are_enough_vectors_and_no_two_of_one_name() -> None:
    names = [vector["name"] for vector in VECTORS]
    assert len(names) >= LEAST
    assert len(set(names)) == len(names)
    assert {vector["call"] for vector in VECTORS} == {"success", "error"}
