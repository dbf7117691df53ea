"""Answers as responses, outside of any middleware."""

import json

import pytest
from starlette.responses import Response

from tests.helpers.envelope import assert_openai_error, assert_problem
from tests.responder.serving import RawAnswer
from voxgate_core import Answer, VoxgateError, current_trace, new_trace
from voxgate_responder import Rendering, current_rendering, error_response, json_error, json_success, respond


def raw(response: Response) -> RawAnswer:
    return RawAnswer(response.status_code, dict(response.headers), bytes(response.body))


def test_a_success_carries_the_current_trace_in_body_and_headers() -> None:
    trace = new_trace()
    token = current_trace.set(trace)
    response = json_success({"a": 1}, legacy={"old": True}, status=202, headers={"X-Custom": "c\r\nd"})
    current_trace.reset(token)
    assert json.loads(bytes(response.body)) == {
        "success": True,
        "traceId": trace.trace_id,
        "data": {"a": 1},
        "old": True,
    }
    assert response.status_code == 202
    assert response.headers["x-trace-id"] == trace.trace_id
    assert response.headers["traceparent"] == trace.traceparent
    assert response.headers["x-custom"] == "c  d"
    assert int(response.headers["content-length"]) == len(response.body)


def test_outside_of_a_request_a_trace_is_made_up_and_body_and_header_agree() -> None:
    response = json_success({})
    assert json.loads(bytes(response.body))["traceId"] == response.headers["x-trace-id"]


def test_a_bare_answer_is_its_data_and_nothing_else() -> None:
    response = respond(Answer({"value": "ek_x"}, legacy={"ignored": 1}, bare=True, headers={"content-type": "text/x"}))
    assert response.body == b'{"value":"ek_x"}'
    assert response.headers.getlist("content-type") == ["text/x"]


def test_an_error_is_a_problem_with_what_the_caller_may_know() -> None:
    response = json_error("quota_exceeded", "Wait", details={"n": 1}, retry_after=3, headers={"X-A": "b"})
    body = assert_problem(raw(response), 429, "quota_exceeded")
    assert body["error"] == {"code": "quota_exceeded", "message": "Wait", "details": {"n": 1}}
    assert (response.headers["retry-after"], response.headers["x-a"]) == ("3", "b")
    assert_problem(raw(json_error("unavailable", status=504)), 504, "unavailable")


def test_an_unknown_code_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        json_error("no_such_code")


def test_the_path_being_served_decides_the_shape() -> None:
    token = current_rendering.set(Rendering("/v1/x", openai=True, https=True))
    response = error_response(VoxgateError("not_found"))
    current_rendering.reset(token)
    assert_openai_error(raw(response), 404, "not_found")
    assert response.headers["strict-transport-security"]
