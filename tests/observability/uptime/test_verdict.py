import json

import pytest

from tests.observability.uptime.serving import PARKED, WELL
from voxgate_observability.uptime.verdict import Budget, Look, judge


def changed(**members: object) -> bytes:
    return json.dumps({**json.loads(WELL), **members}).encode()


def test_a_good_answer_in_time_is_up() -> None:
    verdict = judge(Look(200, WELL, 0.2, 60.0), Budget())
    assert verdict.is_up
    assert (verdict.seconds, verdict.days_left) == (0.2, 60.0)


@pytest.mark.parametrize(
    ("look", "fault"),
    [
        (Look(fault="ConnectError: refused"), "ConnectError: refused"),
        (Look(), "no answer came"),
        (Look(503, WELL), "status 503, not 200"),
        (Look(200, PARKED), "the body is not JSON: is it this gateway that answers?"),
        (Look(200, b"[]"), "the body is not a JSON object"),
        (Look(200, changed(success="true")), "success is not true"),
        (Look(200, changed(traceId="4BF9")), "traceId is not 32 hex digits"),
        (Look(200, changed(status="down")), "status is neither ok nor degraded"),
        (Look(200, WELL, 2.5), "the answer took 2.50 s, more than 2 s"),
        (Look(200, WELL, 0.1, 13.9), "the certificate ends in 13.9 days, less than 14"),
    ],
)
def test_what_is_wrong_is_said(look: Look, fault: str) -> None:
    assert judge(look, Budget()).faults == (fault,)


def test_every_fault_is_told_at_once() -> None:
    assert len(judge(Look(503, PARKED, 3.0, 1.0), Budget()).faults) == 4


def test_a_degraded_gateway_is_up() -> None:
    assert judge(Look(200, changed(status="degraded")), Budget()).is_up
