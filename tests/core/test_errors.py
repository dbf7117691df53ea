from http import HTTPStatus
from typing import cast

import pytest

from voxgate_core import ERRORS, ConfigurationError, ErrorKind, Retry, VoxgateError

PRIVATE_CLOSE_CODES = {4001, 4003, 4008, 4029}
STANDARD_CLOSE_CODES = {1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013}
RECONNECTING_CLOSE_CODES = {1011, 1012, 1013}

kinds = pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)


def test_the_table_is_keyed_by_code_and_cannot_be_changed() -> None:
    assert all(code == kind.code for code, kind in ERRORS.items())
    with pytest.raises(TypeError):
        cast(dict[str, ErrorKind], ERRORS)["mine"] = ERRORS["conflict"]


@kinds
def test_every_code_is_a_snake_case_word(kind: ErrorKind) -> None:
    assert kind.code.isidentifier()
    assert kind.code == kind.code.lower()


@kinds
def test_every_status_is_a_real_http_error(kind: ErrorKind) -> None:
    assert HTTPStatus(kind.status) >= HTTPStatus.BAD_REQUEST


@kinds
def test_every_close_code_is_one_that_may_be_sent(kind: ErrorKind) -> None:
    """RFC 6455 section 7.4.1: 1005, 1006 and 1015 are never put into a close frame."""
    assert kind.close_code in PRIVATE_CLOSE_CODES | STANDARD_CLOSE_CODES


@kinds
def test_every_title_is_one_line_that_fits_a_close_frame(kind: ErrorKind) -> None:
    """RFC 6455 section 5.5: a control frame carries 125 bytes, two of them the code."""
    assert kind.title
    assert "\n" not in kind.title
    assert len(kind.title.encode()) <= 123
    assert kind.title[0].isupper()
    assert not kind.title.endswith(".")


@kinds
def test_a_credential_close_code_asks_for_a_new_token_or_a_changed_caller(kind: ErrorKind) -> None:
    if kind.close_code in {4001, 4003}:
        assert kind.status in {401, 403}
        assert kind.retry in {Retry.NEW_TOKEN, Retry.NEVER}


@kinds
def test_only_a_refusal_that_may_pass_is_worth_repeating(kind: ErrorKind) -> None:
    if kind.close_code in RECONNECTING_CLOSE_CODES:
        assert kind.retry in {Retry.NOW, Retry.LATER}
    if kind.status in {429, 500, 502, 503}:
        assert kind.retry in {Retry.NOW, Retry.LATER}
    if kind.close_code in {1002, 1003, 1007, 1009, 4008}:
        assert kind.retry is Retry.NEVER


@pytest.mark.parametrize(
    ("code", "status", "close_code"),
    [
        ("credential_missing", 401, 4001),
        ("credential_timeout", 401, 4001),
        ("credential_invalid", 401, 4003),
        ("token_expired", 401, 4003),
        ("token_replayed", 401, 4003),
        ("token_revoked", 401, 4003),
        ("token_wrong_origin", 403, 4003),
        ("origin_refused", 403, 4003),
        ("policy_refused", 403, 4008),
        ("quota_exceeded", 429, 4029),
        ("message_too_large", 413, 1009),
        ("invalid_message", 400, 1007),
        ("upstream_failed", 502, 1011),
        ("upstream_unreachable", 503, 1013),
        ("capacity_exceeded", 503, 1013),
        ("proxy_disabled", 503, 1013),
        ("draining", 503, 1012),
    ],
)
def test_the_published_codes_keep_their_numbers(code: str, status: int, close_code: int) -> None:
    assert (ERRORS[code].status, ERRORS[code].close_code) == (status, close_code)


def test_a_refusal_without_a_message_says_its_title() -> None:
    error = VoxgateError("token_expired")
    assert error.message == ERRORS["token_expired"].title
    assert (error.details, error.retry_after, dict(error.headers)) == (None, None, {})


def test_a_refusal_carries_what_the_caller_may_know() -> None:
    headers = {"WWW-Authenticate": "Bearer"}
    error = VoxgateError("quota_exceeded", "slow down", details={"limit": 5}, retry_after=1.5, headers=headers)
    assert (error.code, error.kind, error.message) == ("quota_exceeded", ERRORS["quota_exceeded"], "slow down")
    assert (error.details, error.retry_after) == ({"limit": 5}, 1.5)
    assert str(error) == "quota_exceeded: slow down"


def test_an_empty_message_is_kept_as_it_is() -> None:
    assert VoxgateError("conflict", "").message == ""


def test_headers_of_a_refusal_are_a_copy_that_nobody_can_change() -> None:
    headers = {"Allow": "GET"}
    error = VoxgateError("method_not_allowed", headers=headers)
    headers["Allow"] = "POST"
    assert dict(error.headers) == {"Allow": "GET"}
    with pytest.raises(TypeError):
        cast(dict[str, str], error.headers)["Allow"] = "PUT"


def test_a_code_outside_the_table_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        VoxgateError("teapot")


def test_a_configuration_error_lists_every_fault_once() -> None:
    error = ConfigurationError(fault for fault in ["JWT_SECRET is missing", "VOXGATE_ENV is not known"])
    assert error.faults == ("JWT_SECRET is missing", "VOXGATE_ENV is not known")
    assert str(error) == "- JWT_SECRET is missing\n- VOXGATE_ENV is not known"
