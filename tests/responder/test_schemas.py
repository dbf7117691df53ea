"""The schemas themselves."""

import pytest
from jsonschema import Draft202012Validator

from voxgate_responder import load_schema
from voxgate_responder.schemas import SchemaName

PROBLEM = {
    "success": False, "traceId": "a" * 32, "error": {"code": "not_found", "message": "m"},
    "type": "urn:voxgate:error:not_found", "title": "t", "status": 404, "detail": "m", "instance": "/x",
}  # fmt: skip


@pytest.mark.parametrize("name", ["envelope-success", "envelope-problem"])
def test_a_schema_is_a_valid_schema_and_every_load_is_a_copy(name: SchemaName) -> None:
    schema = load_schema(name)
    Draft202012Validator.check_schema(schema)
    schema.clear()
    assert load_schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_a_success_and_a_problem_are_never_both() -> None:
    success, problem = (Draft202012Validator(load_schema(name)) for name in ("envelope-success", "envelope-problem"))
    good = {"success": True, "traceId": "a" * 32, "data": None, "legacy": 1}
    assert success.is_valid(good)
    assert not problem.is_valid(good)
    assert problem.is_valid(PROBLEM)
    assert not success.is_valid(PROBLEM)


@pytest.mark.parametrize(
    "change",
    [{"traceId": "0" * 32}, {"traceId": "A" * 32}, {"status": 200}, {"success": True}, {"error": {}}, {"instance": "x"},
     {"type": "about:blank"}, {"extra": 1}, {"detail": ""}, {"error": {"code": "c", "message": "m", "details": []}}],
)  # fmt: skip
def test_a_problem_that_breaks_a_rule_is_invalid(change: dict[str, object]) -> None:
    assert not Draft202012Validator(load_schema("envelope-problem")).is_valid(PROBLEM | change)
