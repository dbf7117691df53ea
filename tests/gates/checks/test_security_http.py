import pytest

from tests.gates.samples import assert_caught, assert_promises_kept
from voxgate_gates import ABSENT
from voxgate_gates.checks.security_http import _parse_raw, suite

CHECKS = {check.id.removeprefix("security."): check for check in suite}

LIES = [
    ("token-wrong-method-405", "plain-405"),
    ("token-malformed-json-400", "malformed-500"),
    ("token-malformed-json-400", "plain-400"),
    ("token-wrong-content-type-415", "any-content-type"),
    ("token-body-too-large-413", "any-size"),
    ("missing-route-404", "plain-404"),
    ("security-headers", "headers-on-success-only"),
    ("security-headers", "cacheable"),
    ("trace-id-fresh", "fixed-trace"),
    ("trace-id-fresh", "trace-header-differs"),
    ("trace-id-fresh", "plain-404"),
    ("trace-id-continued", "own-trace"),
    ("preflight-allowed", "wildcard-preflight"),
    ("preflight-allowed", "no-vary"),
    ("preflight-refused", "any-preflight"),
    ("token-vary-origin", "no-vary"),
    ("health-head", "head-405"),
    ("health-head", "head-body"),
    ("garbage-bytes-400", "plain-400"),
    ("garbage-bytes-400", "garbage-silence"),
]


async def test_an_honest_gateway_keeps_every_promise() -> None:
    await assert_promises_kept(suite)


@pytest.mark.parametrize(("name", "lie"), LIES)
async def test_a_lie_is_caught_by_the_check_meant_for_it(name: str, lie: str) -> None:
    await assert_caught(CHECKS[name], lie)


def test_every_check_has_a_lie() -> None:
    assert {name for name, _ in LIES} == set(CHECKS)


@pytest.mark.parametrize(
    "received", [b"", b"hello", b"HTTP/1.1", b"HTTP/1.1 abc\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16"]
)
def test_what_is_no_http_answer_has_no_status(received: bytes) -> None:
    assert _parse_raw(received) == (ABSENT, {}, b"")


def test_a_raw_answer_is_read() -> None:
    assert _parse_raw(b"HTTP/1.1 400 Bad\r\nA-B: c\r\n\r\nbody") == (400, {"a-b": "c"}, b"body")
