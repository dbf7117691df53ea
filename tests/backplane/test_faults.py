import logging
import ssl

import msgspec
import nats.errors
import pytest
from nats.js.errors import APIError

from voxgate_backplane.faults import RETRY_SECONDS, Lost, is_login_refused, pause_after, refusals, why_not
from voxgate_core import VoxgateError

LOGIN_REFUSED = nats.errors.Error("nats: 'Authorization Violation'")


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (Lost(), 0.0),
        (nats.errors.TimeoutError(), 0.0),
        (nats.errors.NoRespondersError(), RETRY_SECONDS),
        (APIError(code=503, err_code=10008), RETRY_SECONDS),
        (APIError(code=409, err_code=10158), RETRY_SECONDS),
        (APIError(code=400, err_code=10005), RETRY_SECONDS),
        (APIError(code=503, err_code=10077), None),
        (APIError(code=503, err_code=10023), None),
        (APIError(code=400, err_code=10071), None),
        (APIError(code=404, err_code=10059), None),
        (nats.errors.ConnectionClosedError(), None),
        (nats.errors.MaxPayloadError(), None),
    ],
)
def test_only_a_fault_that_passes_is_worth_another_try(error: nats.errors.Error, pause: float | None) -> None:
    assert pause_after(error) == pause


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (LOGIN_REFUSED, "refuses the login"),
        (nats.errors.SecureConnWantedError(), "offers no TLS"),
        (ssl.SSLCertVerificationError("for s3cret.example"), "certificate is not trusted"),
        (ConnectionRefusedError("s3cret"), r"no NATS server answers as it should \(ConnectionRefusedError\)"),
        (nats.errors.Error("nats: s3cret"), r"no NATS server answers as it should \(Error\)"),
    ],
)
def test_a_first_connection_that_failed_is_explained_without_quoting(error: Exception, advice: str) -> None:
    with pytest.raises(LookupError, match=advice) as told:
        raise LookupError(why_not(error))
    assert "s3cret" not in str(told.value)
    assert is_login_refused(error) is (error is LOGIN_REFUSED)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (nats.errors.TimeoutError(), "unavailable"),
        (nats.errors.ConnectionClosedError(), "unavailable"),
        (APIError(code=500, description="told to the log"), "unavailable"),
        (OSError("no route"), "unavailable"),
        (msgspec.DecodeError("no JSON"), "unavailable"),
        (nats.errors.MaxPayloadError(), "body_too_large"),
    ],
)
def test_what_nats_raises_becomes_a_refusal_of_ours(
    error: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(VoxgateError, match="the backplane could not do it") as refused, refusals("do it"):
        raise error
    assert refused.value.code == code
    assert "told to the log" not in refused.value.message
    assert ("told to the log" in caplog.text) is isinstance(error, APIError)


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(LookupError), refusals("do it"):
        raise LookupError
