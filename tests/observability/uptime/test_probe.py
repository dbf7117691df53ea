import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import trustme

from tests.observability.uptime.serving import PARKED, WELL, running_site
from voxgate_core import ConfigurationError
from voxgate_observability.uptime.probe import MAX_BODY, look, look_at_url
from voxgate_observability.uptime.verdict import Budget, judge


@pytest.mark.parametrize(
    "text", ["", "example.com", "ftp://example.com/", "http://", "http://a:b@example.com/", "http://example.com:port/"]
)
def test_what_is_no_health_url_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="health URL"):
        look_at_url(text)


def test_an_answer_is_read_with_its_time() -> None:
    with running_site((200, WELL)) as site:
        seen = look(site.url)
    assert (seen.status, seen.body, seen.days_left, seen.fault) == (200, WELL, None, "")
    assert 0 < seen.seconds < 5


@pytest.mark.parametrize("answer", [(503, b"{}"), (302, b""), (200, PARKED)])
def test_any_answer_is_handed_on_and_no_redirect_followed(answer: tuple[int, bytes]) -> None:
    with running_site(answer, (200, WELL)) as site:
        seen = look(site.url)
    assert (seen.status, seen.body) == answer


def test_a_refused_connection_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    seen = look(f"http://127.0.0.1:{port}/")
    assert seen.status is None
    assert seen.fault.startswith("ConnectError")


def test_a_server_that_says_nothing_is_given_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = look(f"http://127.0.0.1:{listener.getsockname()[1]}/", deadline=0.05)
    assert (seen.status, seen.fault) == (None, "no whole answer within 0.05 s")


def test_an_endless_answer_is_cut() -> None:
    with running_site((200, b" " * (MAX_BODY + 1))) as site:
        assert "longer than" in look(site.url).fault


def test_the_days_left_are_those_of_the_certificate_that_was_shown() -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    with running_site((200, WELL), context=server) as site:
        seen = look(site.url, context=client)
        stranger = look(site.url)
    assert seen.status == 200
    assert seen.days_left is not None
    assert seen.days_left > 300
    assert stranger.status is None
    assert "certificate" in stranger.fault.lower()


@contextmanager
def speaking(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server whose answer to the first caller is whatever ``speak`` sends, until the caller has gone; its URL."""

    def serve() -> None:
        caller, _ = listener.accept()
        with caller, suppress(OSError):
            caller.recv(65536)
            speak(caller)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            thread.join(10)
    assert not thread.is_alive()


def trickle(caller: socket.socket, first: bytes, then: bytes) -> None:
    caller.sendall(first)
    caller.settimeout(0.02)
    while True:
        try:
            if not caller.recv(1):
                return
        except TimeoutError:
            caller.sendall(then)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    ],
    ids=["headers", "hints", "body"],
)
def test_a_trickle_is_given_up_on_by_the_clock(first: bytes, then: bytes) -> None:
    with speaking(lambda caller: trickle(caller, first, then)) as url:
        seen = look(url, deadline=0.3)
    assert (seen.status, seen.fault) == (None, "no whole answer within 0.3 s")
    assert seen.seconds < 5


def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(gzip.compress(bytes(10_000_000)))
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    with speaking(lambda caller: caller.sendall(head + bomb)) as url:
        assert look(url).fault == "the answer is compressed, which was not asked for"


def test_bytes_that_are_no_answer_are_a_fault() -> None:
    with speaking(lambda caller: caller.sendall(b"\x00\xff nonsense\r\n\r\n")) as url:
        assert look(url).fault.startswith("RemoteProtocolError")


def test_deeply_nested_json_is_no_answer_of_ours() -> None:
    with running_site((200, b"[" * 100_000)) as site:
        verdict = judge(look(site.url), Budget())
    assert verdict.faults == ("the body is not JSON: is it this gateway that answers?",)
