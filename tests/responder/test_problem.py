"""What exceptions mean."""

import pytest
from fastapi import HTTPException as FastAPIHTTPException
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from voxgate_core import ERRORS, VoxgateError
from voxgate_responder import code_of_status, problem_of


def caused(exception: Exception, cause: Exception) -> Exception:
    exception.__cause__ = cause
    return exception


def test_a_voxgate_error_is_itself() -> None:
    error = VoxgateError("token_expired")
    assert problem_of(error) == (error, 401)


def test_anything_unexpected_is_an_internal_error_without_its_text() -> None:
    error, status = problem_of(RuntimeError("secret"))
    assert (error.code, status) == ("internal_error", 500)
    assert "secret" not in f"{error} {error.message} {error.details}"


@pytest.mark.parametrize("status", range(400, 600))
def test_every_error_status_has_a_code_of_its_class(status: int) -> None:
    assert ERRORS[code_of_status(status)].status // 100 == status // 100


def test_a_framework_s_own_phrase_gives_way_to_the_table_s_title() -> None:
    assert problem_of(HTTPException(404))[0].message == "There is nothing at this address"
    assert problem_of(HTTPException(404, "No such voice"))[0].message == "No such voice"
    assert problem_of(HTTPException(404, "x" * 1000))[0].message == "x" * 200


def test_an_http_exception_keeps_headers_and_structured_details() -> None:
    error, status = problem_of(FastAPIHTTPException(409, {"key": "k", 1: 2}, headers={"Allow": "GET"}))
    assert (error.code, status, error.details) == ("conflict", 409, {"key": "k", "1": 2})
    assert error.headers == {"Allow": "GET"}
    assert problem_of(FastAPIHTTPException(409, ["list"]))[0].details is None


def test_the_detail_of_a_server_error_is_not_shown() -> None:
    error, status = problem_of(HTTPException(503, "db at 10.0.0.3 refused"))
    assert (error.code, status, error.message) == ("unavailable", 503, "The service is not available now")


def test_a_400_that_reading_the_body_caused_says_why() -> None:
    for cause in (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), RecursionError(), ValueError()):
        assert problem_of(caused(HTTPException(400, "x"), cause))[0].code == "malformed_json"
    limit = VoxgateError("body_too_large")
    assert problem_of(caused(HTTPException(400, "x"), limit)) == (limit, 413)
    assert problem_of(caused(HTTPException(400, "x"), OSError()))[0].code == "bad_request"


def fault(*location: object, kind: str = "missing", message: str = "Field required") -> dict[str, object]:
    return {"type": kind, "loc": location, "msg": message, "input": "SECRET", "ctx": {"error": "SECRET"}}


def test_malformed_json_names_the_position() -> None:
    error, status = problem_of(RequestValidationError([fault("body", 7, kind="json_invalid")], body="{"))
    assert (error.code, status, error.details) == ("malformed_json", 400, {"position": 7})
    for location in ((), ("body",), ("body", "x")):
        assert problem_of(RequestValidationError([fault(*location, kind="json_invalid")]))[0].details is None


def test_a_body_that_was_never_json_is_an_unsupported_type() -> None:
    error, _ = problem_of(RequestValidationError([fault("body", kind="dict_type")], body=b"SECRET"))
    assert error.code == "unsupported_media_type"
    error, _ = problem_of(RequestValidationError([fault("query", "q")], body=b"raw bytes are what it takes"))
    assert error.code == "invalid_input"


def test_faulty_fields_are_named_bounded_and_never_repeat_the_input() -> None:
    faults = [fault("body", *["deep"] * 50, "x" * 999, message="m" * 999) for _ in range(50)]
    error, status = problem_of(RequestValidationError(faults, body={"a": "SECRET"}))
    assert (error.code, status) == ("invalid_input", 422)
    assert error.details is not None
    fields = error.details["fields"]
    assert isinstance(fields, list)
    assert (len(fields), error.details["faults"]) == (20, 50)
    assert (len(fields[0]["at"]), len(fields[0]["message"])) == (16, 200)
    assert "SECRET" not in str(error.details)


def test_positions_are_short_text_or_small_integers() -> None:
    error, _ = problem_of(RequestValidationError([fault("body", 3, 2**70, "y" * 999)]))
    assert error.details is not None
    assert error.details["fields"] == [
        {"at": ["body", 3, str(2**70), "y" * 200], "message": "Field required", "type": "missing"}
    ]
    error, _ = problem_of(RequestValidationError([{"type": "t", "loc": 5, "msg": "m"}]))
    assert error.details == {"fields": [{"at": [], "message": "m", "type": "t"}], "faults": 1}
