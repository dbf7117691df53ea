import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_gates.saboteurs.messages import Answer, Frame, Headers, Request, frame_length, read_frame

HEAD = b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nOrigin: https://a.test\r\nAuthorization: Bearer vk_1\r\n\r\n"


def test_a_request_is_read_and_written_again() -> None:
    request = Request.of_head(HEAD)
    assert (request.method, request.path, request.target) == ("POST", "/a", "/a?b=c")
    assert (request.origin, request.bearer, request.is_socket) == ("https://a.test", "vk_1", False)
    request.origin, request.bearer, request.body = "null", "vk_2", b"{}"
    written = request.to_bytes()
    assert written.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert written.endswith(b"\r\n\r\n{}")
    assert b"origin: null\r\n" in written
    assert b"connection: close" in written
    assert b"https://a.test" not in written


@pytest.mark.parametrize(
    "head", [b"", b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/2\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"]
)
def test_what_is_no_request_is_told_apart(head: bytes) -> None:
    with pytest.raises(ValueError, match="line"):
        Request.of_head(head)


def test_a_copy_shares_nothing_that_a_lie_changes() -> None:
    request = Request.of_head(HEAD)
    copied = request.copy()
    del copied.headers["origin"]
    assert request.origin == "https://a.test"
    assert "origin" not in copied.headers


def test_an_answer_takes_another_body_with_its_length() -> None:
    answer = Answer.of_head(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    answer.put({"a": "ü"})
    assert answer.json() == {"a": "ü"}
    assert answer.headers.get("content-length") == str(len(answer.body))
    assert answer.to_bytes().startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_is_no_answer_is_told_apart() -> None:
    with pytest.raises(ValueError, match="status line"):
        Answer.of_head(b"SSH-2.0-x\r\n\r\n")


def test_a_handshake_keeps_its_connection_header() -> None:
    answer = Answer(101, Headers([("Connection", "Upgrade")]), reason="Switching Protocols")
    assert b"Connection: Upgrade" in answer.to_bytes()


@given(st.binary(max_size=70_000), st.one_of(st.none(), st.binary(min_size=4, max_size=4)))
def test_a_frame_comes_back_as_it_was(payload: bytes, mask: bytes | None) -> None:
    frame = Frame(0x82, payload)
    written = frame.to_bytes(mask)
    assert frame_length(written + b"more") == len(written)
    assert read_frame(written) == frame


def test_the_length_is_unknown_until_the_head_is_there() -> None:
    written = Frame(0x81, b"x" * 300).to_bytes(b"mask")
    assert [frame_length(written[:size]) for size in (0, 1, 2, 3)] == [None] * 4
    assert frame_length(written[:4]) == len(written)


def test_a_close_and_an_event_are_seen_for_what_they_are() -> None:
    assert Frame.close(4001, "why").close_code == 4001
    assert Frame.text({"type": "error"}).event == {"type": "error"}
    assert Frame.text({"type": "error"}).close_code is None
    assert Frame(0x81, b"not JSON").event is None
    assert Frame(0x81, b"[]").event is None
    assert Frame(0x82, b"{}").event is None
    assert Frame(0x88, b"").close_code is None
