"""A refusal, ready for any transport."""

import json
import math

import pytest

from tests.helpers.envelope import assert_openai_error, assert_problem
from tests.responder.serving import RawAnswer
from voxgate_core import ERRORS, VoxgateError, new_trace
from voxgate_responder import HttpRefusal, refusal


def answered(refused: HttpRefusal) -> RawAnswer:
    headers = {name.decode(): value.decode("latin-1") for name, value in refused.headers}
    assert len(headers) == len(refused.headers)
    return RawAnswer(refused.status, headers, refused.body)


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_of_the_table_makes_a_whole_answer_in_both_shapes(code: str) -> None:
    error = VoxgateError(code, retry_after=1, headers={"Allow": "GET"})
    trace = new_trace()
    status = ERRORS[code].status
    assert assert_problem(answered(refusal(error, trace)), status, code)["traceId"] == trace.trace_id
    assert_openai_error(answered(refusal(error, trace, openai=True)), status, code)


def test_a_handshake_is_refused_with_403_and_its_path() -> None:
    refused = refusal(VoxgateError("origin_refused"), new_trace(), instance="/realtime", https=True)
    answer = answered(refused)
    assert assert_problem(answer, 403, "origin_refused")["instance"] == "/realtime"
    assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [(0.2, "1"), (0, "0"), (-5, "0"), (61.0, "61"), (1e12, "86400"), (math.inf, None), (math.nan, None)],
)
def test_retry_after_is_whole_seconds_rounded_up_and_bounded(given: float, sent: str | None) -> None:
    headers = dict(refusal(VoxgateError("unavailable", retry_after=given), new_trace()).headers)
    assert headers.get(b"retry-after", b"").decode() == (sent or "")


def test_a_401_challenges_and_says_when_the_token_was_the_fault() -> None:
    missing = dict(refusal(VoxgateError("credential_missing"), new_trace()).headers)
    assert missing[b"www-authenticate"] == b'Bearer realm="voxgate"'
    expired = dict(refusal(VoxgateError("token_expired"), new_trace()).headers)
    assert expired[b"www-authenticate"] == b'Bearer realm="voxgate", error="invalid_token"'
    own = VoxgateError("credential_missing", headers={"WWW-Authenticate": "ApiKey"})
    assert dict(refusal(own, new_trace()).headers)[b"www-authenticate"] == b"ApiKey"


def test_a_header_value_cannot_split_the_answer_nor_replace_what_frames_it() -> None:
    error = VoxgateError("conflict", headers={"X-A": "1\r\nX-B: 2\u20ac", "Content-Length": "0", "X-Trace-Id": "z"})
    refused = refusal(error, new_trace())
    headers = dict(refused.headers)
    assert headers[b"x-a"] == b"1  X-B: 2?"
    assert_problem(answered(refused), 409, "conflict")


def test_the_wire_form_ends_the_connection_and_frames_the_body() -> None:
    refused = refusal(VoxgateError("request_timeout", headers={"connection": "close"}), new_trace())
    head, _, body = refused.to_bytes([(b"date", b"today")]).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\ndate: today\r\n")
    assert head.count(b"connection: close") == 1
    assert json.loads(body)["status"] == 408


def test_a_status_without_a_name_is_still_an_answer() -> None:
    refused = refusal(VoxgateError("bad_request"), new_trace(), status=499)
    assert refused.to_bytes().startswith(b"HTTP/1.1 499 \r\n")
    assert json.loads(refused.body)["status"] == 499
