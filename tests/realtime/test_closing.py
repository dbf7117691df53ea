import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeErrorEvent

from voxgate_core import ERRORS, VoxgateError
from voxgate_realtime.closing import MAX_REASON, client_code, error_event, fit_reason, upstream_code

NEVER_SENT = (1004, 1005, 1006, 1015)


def may_be_sent(code: int) -> bool:
    return (1000 <= code <= 1014 and code not in NEVER_SENT) or 3000 <= code <= 4999


@given(st.integers(0, 65535))
def test_every_code_becomes_one_that_may_be_sent(code: int) -> None:
    assert may_be_sent(client_code(code))
    assert may_be_sent(upstream_code(code))


@pytest.mark.parametrize("code", [1000, 1001, 1007, 1008, 1009, 1012, 1013, 3000, 3999])
def test_codes_that_mean_the_same_to_a_client_pass(code: int) -> None:
    assert client_code(code) == code


@pytest.mark.parametrize("code", [1002, 1003, 1005, 1006, 1010, 1011, 1014, 1015, 4000, 4001, 4003, 4999])
def test_other_codes_of_an_upstream_say_only_that_it_failed(code: int) -> None:
    assert client_code(code) == 1011


@pytest.mark.parametrize(("seen", "told"), [(1000, 1000), (1001, 1001), (1005, 1000), (1006, 1001), (4001, 1000)])
def test_an_upstream_learns_whether_the_client_left_or_vanished(seen: int, told: int) -> None:
    assert upstream_code(seen) == told


@given(st.text(max_size=400))
def test_a_reason_fits_the_close_frame_and_is_whole_utf8(reason: str) -> None:
    fitted = fit_reason(reason)
    assert len(fitted) <= MAX_REASON
    text = fitted.decode()
    assert reason.encode("utf-8", "replace").decode().startswith(text)


def test_a_reason_that_fits_is_not_touched() -> None:
    assert fit_reason("ä" * 61) == ("ä" * 61).encode()
    assert fit_reason("ä" * 62) == ("ä" * 61).encode()


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_becomes_an_event_the_official_client_reads(code: str) -> None:
    event = RealtimeErrorEvent.model_validate(json.loads(error_event(VoxgateError(code))))
    assert event.error.code == code
    assert event.error.message
    assert event.event_id.startswith("event_")
