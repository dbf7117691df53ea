"""What must hold before a request reaches the application."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import VoxgateError
from voxgate_responder.intake import announces_body, check_request


def code(path: str = "/", raw: bytes | None = None, query: bytes = b"", length: bytes | None = None) -> str | None:
    headers = [] if length is None else [(b"host", b"x"), (b"content-length", length)]
    try:
        check_request(path, raw, query, headers, 100)
    except VoxgateError as error:
        return error.code
    return None


def test_text_passes_in_any_language() -> None:
    assert code("/ü", b"/%C3%BC", b"q=%E2%82%AC&r=%zz", b" 100 ") is None


@pytest.mark.parametrize(
    "target",
    [("/\x00", None, b""), ("/\n", None, b""), ("/\x7f", None, b""), ("/", b"/%ff", b""), ("/", None, b"\xff"),
     ("/", None, b"q=%FF"), ("/", None, b"%c0%80")],
)  # fmt: skip
def test_bytes_that_are_not_text_are_refused(target: tuple[str, bytes | None, bytes]) -> None:
    assert code(*target) == "bad_request"


@pytest.mark.parametrize(
    ("length", "expected"),
    [(b"0", None), (b"100", None), (b"101", "body_too_large"), (b"9" * 5000, "body_too_large"), (b"", "bad_request"),
     (b"-1", "bad_request"), (b"+1", "bad_request"), (b"1_0", "bad_request"), ("١".encode(), "bad_request")],
)  # fmt: skip
def test_a_length_is_digits_within_the_limit(length: bytes, expected: str | None) -> None:
    assert code(length=length) == expected


@given(st.text(), st.none() | st.binary(), st.binary(), st.none() | st.binary())
def test_any_bytes_are_judged_within_the_taxonomy(
    path: str, raw: bytes | None, query: bytes, length: bytes | None
) -> None:
    assert code(path, raw, query, length) in (None, "bad_request", "body_too_large")


def test_a_body_is_announced_by_a_length_or_a_transfer_encoding() -> None:
    assert announces_body([(b"transfer-encoding", b"chunked")])
    assert announces_body([(b"content-length", b"1")])
    assert not announces_body([(b"content-length", b" 0 "), (b"host", b"x")])
