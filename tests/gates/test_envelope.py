import pytest

from voxgate_gates import ABSENT
from voxgate_gates.envelope import MAX_DEPTH, SECURITY_HEADERS, envelope_faults, header_faults, parse_json

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GOOD = {"success": True, "traceId": TRACE, "data": {}}
PROBLEM = {
    "success": False,
    "traceId": TRACE,
    "error": {"code": "not_found", "message": "no"},
    "type": "t",
    "title": "t",
    "status": 404,
    "detail": "d",
    "instance": "i",
}
JSON = {"content-type": "application/json; charset=utf-8", "x-trace-id": TRACE}
PROBLEM_JSON = {"content-type": "application/problem+json", "x-trace-id": TRACE}
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


def test_the_canonical_success_and_error_have_no_faults() -> None:
    assert envelope_faults(200, JSON, GOOD) == []
    assert envelope_faults(404, PROBLEM_JSON, PROBLEM) == []


def test_a_success_without_data_is_a_fault_unless_the_route_has_none() -> None:
    body = {"success": True, "traceId": TRACE}
    assert envelope_faults(200, JSON, body) == ["data is not an object"]
    assert envelope_faults(200, JSON, body, data=False) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"success": 1}, "success is not true"),
        ({"traceId": "x"}, "traceId is not 32 hex digits"),
        ({"traceId": "0" * 32}, "traceId is not 32 hex digits"),
        ({"traceId": "a" * 32}, "X-Trace-Id differs from traceId"),
    ],
)
def test_a_fault_of_a_success_is_named(changes: dict[str, object], fault: str) -> None:
    assert envelope_faults(200, JSON, {**GOOD, **changes}) == [fault]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"success": True}, "success is not false"),
        ({"error": {"code": "", "message": "m"}}, "error.code is no text"),
        ({"error": "broken"}, "error.code is no text"),
        ({"detail": None}, "detail is no text"),
        ({"status": 400}, "status differs from the HTTP status"),
    ],
)
def test_a_fault_of_an_error_is_named(changes: dict[str, object], fault: str) -> None:
    assert envelope_faults(404, PROBLEM_JSON, {**PROBLEM, **changes})[0] == fault


def test_the_wrong_media_type_is_a_fault() -> None:
    assert "Content-Type is not application/json" in envelope_faults(200, {"x-trace-id": TRACE}, GOOD)
    assert "Content-Type is not application/problem+json" in envelope_faults(404, JSON, PROBLEM)


@pytest.mark.parametrize("body", [ABSENT, [], "text", None])
def test_a_body_that_is_no_object_is_one_fault(body: object) -> None:
    assert envelope_faults(200, JSON, body) == ["the body is not a JSON object"]


def test_good_headers_have_no_faults_and_each_missing_one_is_named() -> None:
    assert header_faults(HEADERS) == []
    assert len(header_faults({})) == len(SECURITY_HEADERS)


def test_a_header_with_a_weak_value_is_named_with_it() -> None:
    assert header_faults({**HEADERS, "cache-control": "public"}) == ["cache-control is 'public'"]


def test_json_is_parsed_and_anything_else_is_absent() -> None:
    assert parse_json(b'{"a": 1}') == {"a": 1}
    assert parse_json(b"<html>") is ABSENT
    assert parse_json(b"\xff\xfe\x00") is ABSENT
    assert parse_json('{"a": NaN}') is ABSENT


def test_json_is_parsed_to_a_depth_and_no_further() -> None:
    for opens, closes in (("[", "]"), ('{"a":', "}")):
        assert parse_json(opens * (MAX_DEPTH - 1) + "[]" + closes * (MAX_DEPTH - 1)) is not ABSENT
        assert parse_json(opens * MAX_DEPTH + "[]" + closes * MAX_DEPTH) is ABSENT
