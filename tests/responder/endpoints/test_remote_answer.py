import json
import logging
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import Answer, Trace, VoxgateError
from voxgate_responder import problem_body
from voxgate_responder.endpoints.call import Refused
from voxgate_responder.endpoints.remote_answer import read_answer
from voxgate_responder.endpoints.table import ENDPOINTS, load_shared

TRACE = Trace("a" * 32, "b" * 16)
SETTINGS = load_shared("chatbot_settings")
CHATBOT = ENDPOINTS["chatbot_settings"]


def read(body: Any, status: int = 200, **headers: str) -> Answer:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(CHATBOT, status, headers, encoded, TRACE)


def refused(body: Any, status: int = 200, **headers: str) -> tuple[str, int, VoxgateError]:
    with pytest.raises((Refused, VoxgateError)) as caught:
        read(body, status, **headers)
    if isinstance(caught.value, Refused):
        return caught.value.error.code, caught.value.status, caught.value.error
    assert isinstance(caught.value, VoxgateError)
    return caught.value.code, caught.value.kind.status, caught.value


def problem(code: str, **more: Any) -> dict[str, object]:
    return problem_body(VoxgateError(code, **more), "c" * 32, "/api/x.php")


def test_an_answer_in_the_envelope_keeps_its_data_and_legacy_fields() -> None:
    envelope = {"success": True, "traceId": "f" * 32, "data": {"settings": SETTINGS}, "settings": SETTINGS, "old": 1}
    assert read(envelope, 201) == Answer({"settings": SETTINGS}, {"settings": SETTINGS, "old": 1}, 201)


@pytest.mark.parametrize("beside", [{}, {"success": True}, {"error": None}, {"traceId": 5}])
def test_an_answer_without_the_envelope_is_wrapped(beside: dict[str, Any]) -> None:
    assert read({"settings": SETTINGS, **beside}) == Answer({"settings": SETTINGS}, {"settings": SETTINGS})


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff", b"[" * 9000, [], 1, None, {}, {"settings": {}}, {"settings": {**SETTINGS, "maxTurns": 0}},
     {"success": True, "traceId": "x", "data": {"settings": SETTINGS}}, {"success": False, "settings": SETTINGS},
     {"success": "true", "settings": SETTINGS}, b"Warning: x in /var/www/a.php on line 1\n{}"],
)  # fmt: skip
def test_what_does_not_fit_the_schema_is_a_failure_of_the_backend(body: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "voxgate.responder"):
        code, status, error = refused(body)
    assert (code, status) == ("upstream_failed", 502)
    assert "/var/www" not in error.message + caplog.text


def test_the_log_says_where_an_answer_does_not_fit_and_not_what_was_there(caplog: pytest.LogCaptureFixture) -> None:
    refused({"settings": {**SETTINGS, "maxTurns": "hunter2"}})
    assert "/api/chatbot_settings.php" in caplog.text
    assert "maxTurns" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_problem_is_passed_on_with_its_code_and_details() -> None:
    body = problem("invalid_input", message="No", details={"voice": "must be a voice"})
    code, status, error = refused(body, 422)
    assert (code, status, error.message, error.details) == ("invalid_input", 422, "No", {"voice": "must be a voice"})


@pytest.mark.parametrize("status", [400, 404, 405, 408, 409, 413, 415, 422, 429])
def test_a_foreign_refusal_keeps_its_status_and_not_its_words(status: int) -> None:
    code, kept, error = refused(b"<html>hunter2 in /var/www</html>", status)
    assert kept == status
    assert error.message == error.kind.title
    assert code != "internal_error"


@pytest.mark.parametrize(
    "body", [problem("conflict"), {**problem("not_found"), "error": {"code": "zzz", "message": "hunter2"}}]
)
def test_a_problem_whose_code_does_not_belong_to_its_status_is_foreign(body: dict[str, object]) -> None:
    code, status, error = refused(body, 404)
    assert (code, status, error.message) == ("not_found", 404, error.kind.title)


@pytest.mark.parametrize("status", [100, 301, 302, 307, 401, 403, 418, 500, 502, 504, 599])
def test_every_other_status_is_a_failure_of_the_backend(status: int) -> None:
    assert refused(problem("internal_error"), status)[:2] == ("upstream_failed", 502)


def test_an_unavailable_backend_is_unavailable_for_as_long_as_it_says() -> None:
    code, status, error = refused(b"", 503, **{"retry-after": "7"})
    assert (code, status, error.retry_after) == ("unavailable", 503, 7.0)
    assert refused(b"", 503, **{"retry-after": "Wed, 01 Jan"})[2].retry_after is None


def test_no_header_goes_on_but_two() -> None:
    _, _, error = refused(b"", 405, allow="GET, POST", **{"set-cookie": "a=b", "location": "/x"})
    assert dict(error.headers) == {"Allow": "GET, POST"}
    assert dict(refused(b"", 405, allow="GET\r\nx: y")[2].headers) == {}


@given(st.binary(max_size=60), st.integers(100, 599))
def test_any_answer_is_read_or_a_refusal(body: bytes, status: int) -> None:
    with suppress(Refused, VoxgateError):
        assert read(body, status).status == status
