import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.fanout.receivers import CLOSE, HANG, RESET, Answer, Receiver, logged, receiver_process
from voxgate_core import ManualClock
from voxgate_fanout.addresses import AddressPolicy
from voxgate_fanout.delivery import Deliverer, Delivery
from voxgate_fanout.outcome import Outcome, OutcomeKind
from voxgate_fanout.resolver import Lookup

LOOPBACK = AddressPolicy([ip_network("127.0.0.0/8"), ip_network("::1/128")])
BODY = b'{"type":"session.ended"}'
HEADERS = {"content-type": "application/json", "webhook-id": "msg_1"}


def to(url: str, *, timeout: float = 5.0, trusted: bool = False) -> Delivery:
    return Delivery(url, BODY, HEADERS, timeout, trusted)


def named(*answers: str | OSError) -> Lookup:
    """A name service that gives every name these addresses, or raises."""

    async def lookup(host: str) -> Sequence[str]:
        for answer in answers:
            if isinstance(answer, OSError):
                raise answer
        return [str(answer) for answer in answers]

    return lookup


@pytest.fixture
async def deliverer() -> AsyncIterator[Deliverer]:
    async with Deliverer(LOOPBACK, user_agent="voxgate/1") as deliverer:
        yield deliverer


async def test_a_delivery_is_one_post_of_the_body_with_its_headers(deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        outcome = await deliverer.deliver(to(receiver.url_of("127.0.0.1", "/hook/%7Ea?k=%2F&b[]=1")))
        assert (outcome.kind, outcome.status, outcome.reason) == (OutcomeKind.DELIVERED, 200, "HTTP 200")
        [request] = receiver.received
        assert (request.method, request.path, request.body) == ("POST", "/hook/%7Ea?k=%2F&b[]=1", BODY)
        assert request.headers == {
            "host": f"127.0.0.1:{receiver.port}",
            "content-type": "application/json",
            "webhook-id": "msg_1",
            "user-agent": "voxgate/1",
            "accept": "*/*",
            "accept-encoding": "identity",
            "content-length": str(len(BODY)),
        }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((200, OutcomeKind.DELIVERED), (201, OutcomeKind.DELIVERED), (202, OutcomeKind.DELIVERED)),
        *((204, OutcomeKind.DELIVERED), (304, OutcomeKind.RETRY), (400, OutcomeKind.RETRY), (404, OutcomeKind.RETRY)),
        *((410, OutcomeKind.GONE), (429, OutcomeKind.RETRY), (500, OutcomeKind.RETRY), (503, OutcomeKind.RETRY)),
        (799, OutcomeKind.RETRY),
    ],
)
async def test_the_status_decides(deliverer: Deliverer, status: int, kind: OutcomeKind) -> None:
    async with Receiver(default=Answer(status)) as receiver:
        for _ in range(2):
            outcome = await deliverer.deliver(to(receiver.url))
            assert (outcome.kind, outcome.status) == (kind, status)
        assert receiver.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(deliverer: Deliverer, status: int) -> None:
    async with Receiver() as elsewhere, Receiver(Answer(status, {"location": elsewhere.url})) as receiver:
        outcome = await deliverer.deliver(to(receiver.url))
        assert (outcome.kind, outcome.status) == (OutcomeKind.RETRY, status)
        assert len(receiver.received) == 1
        assert elsewhere.connections == 0


async def test_a_wish_to_wait_is_handed_on() -> None:
    clock = ManualClock(1_700_000_000.0)
    async with (
        Receiver(
            Answer(429, {"Retry-After": "17"}), Answer(503, {"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"})
        ) as receiver,
        Deliverer(LOOPBACK, clock=clock, user_agent="voxgate") as deliverer,
    ):
        assert (await deliverer.deliver(to(receiver.url))).retry_after == 17.0
        assert (await deliverer.deliver(to(receiver.url))).retry_after == 30.0


async def test_the_clock_says_how_long_it_took() -> None:
    clock = ManualClock()
    held = Answer(hold=asyncio.Event())
    async with Receiver(held) as receiver, Deliverer(LOOPBACK, clock=clock, user_agent="voxgate") as deliverer:
        sending = asyncio.create_task(deliverer.deliver(to(receiver.url)))
        await receiver.has_received(1)
        clock.advance(2.5)
        assert held.hold is not None
        held.hold.set()
        assert (await sending).seconds == 2.5


async def test_connections_are_kept_and_cookies_are_not(deliverer: Deliverer) -> None:
    body = Answer(200, {"set-cookie": "sid=1; Path=/"}, body=b"x" * 60_000)
    async with Receiver(default=body) as receiver:
        for _ in range(5):
            assert (await deliverer.deliver(to(receiver.url))).kind is OutcomeKind.DELIVERED
        assert receiver.connections == 1
        assert all("cookie" not in request.headers for request in receiver.received)


async def test_a_proxy_of_the_environment_is_not_used(deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await deliverer.deliver(to(receiver.url))).status == 200
        assert proxy.connections == 0


async def failure(deliverer: Deliverer, delivery: Delivery) -> str:
    outcome = await deliverer.deliver(delivery)
    assert (outcome.kind, outcome.status, outcome.retry_after) == (OutcomeKind.RETRY, None, None)
    return outcome.reason


async def test_a_hanging_receiver_times_out_and_is_left(deliverer: Deliverer) -> None:
    async with Receiver(HANG, Answer(raw=b"HTTP/1.1 200 OK\r\nx: ", then="hang")) as receiver:
        assert await failure(deliverer, to(receiver.url, timeout=0.1)) == "timeout"
        assert await failure(deliverer, to(receiver.url, timeout=0.1)) == "timeout"
        await receiver.is_left()


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
async def test_no_time_is_no_delivery(deliverer: Deliverer, seconds: float) -> None:
    async with Receiver() as receiver:
        assert await failure(deliverer, to(receiver.url, timeout=seconds)) == "timeout"
        assert receiver.connections == 0


async def test_a_reset_and_a_close_are_told_apart(deliverer: Deliverer) -> None:
    async with Receiver(RESET, CLOSE) as receiver:
        assert await failure(deliverer, to(receiver.url)) == "connection reset"
        assert await failure(deliverer, to(receiver.url)) == "connection closed"
        assert len(receiver.received) == 2  # none of them is sent twice: these were fresh connections


async def test_nobody_listening_is_a_refused_connection(deliverer: Deliverer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert await failure(deliverer, to(f"http://127.0.0.1:{port}/")) == "connection refused"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "name not found"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "name lookup failed"),
        (OSError("anything"), "name lookup failed"),
    ],
)
async def test_a_failed_lookup_is_named(error: OSError, reason: str) -> None:
    async with Deliverer(LOOPBACK, resolve=named(error), user_agent="voxgate") as deliverer:
        assert await failure(deliverer, to("http://hooks.example.com/")) == reason


async def test_the_second_address_of_a_name_is_tried() -> None:
    async with Receiver() as receiver:
        resolve = named("::1", "127.0.0.1")
        async with Deliverer(LOOPBACK, resolve=resolve, user_agent="voxgate") as deliverer:
            assert (await deliverer.deliver(to(receiver.url_of("two.example")))).status == 200


async def test_headers_that_would_break_the_request_are_not_sent(deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        delivery = Delivery(receiver.url, BODY, {"webhook-id": "a\r\nx: b"}, 5.0)
        assert await failure(deliverer, delivery) == "malformed request"
        assert receiver.received == []


async def test_what_nobody_foresaw_is_an_outcome_and_a_log_line_without_the_url(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(host: str) -> Sequence[str]:
        raise RuntimeError(f"{host} has a secret")

    async with Deliverer(LOOPBACK, resolve=broken, user_agent="voxgate") as deliverer:
        with caplog.at_level(logging.DEBUG):
            assert await failure(deliverer, to("http://hooks.example.com/?token=secret")) == "internal error"
    [record] = caplog.records
    assert record.__dict__["kind"] == "RuntimeError"
    assert "secret" not in caplog.text


async def test_a_delivery_does_not_show_its_secrets() -> None:
    shown = repr(Delivery("http://e.com/?token=secret", b"secret", {"x": "secret"}, 5.0))
    assert shown == "Delivery(bytes=6, timeout=5.0, trusted=False)"


async def test_a_closed_deliverer_fails_deliveries() -> None:
    deliverer = Deliverer(LOOPBACK, user_agent="voxgate")
    async with Receiver() as receiver:
        assert await failure(deliverer, to(receiver.url)) == "connection failed"
        async with deliverer:
            assert (await deliverer.deliver(to(receiver.url))).status == 200
        await receiver.is_left()
        assert await failure(deliverer, to(receiver.url)) == "connection failed"
        assert receiver.connections == 1


async def test_what_is_in_flight_at_the_close_fails_and_is_not_sent_again() -> None:
    asked = asyncio.Event()

    async def hung(host: str) -> Sequence[str]:
        asked.set()
        await asyncio.Event().wait()
        return []

    async with Receiver(Answer(), HANG) as receiver:
        async with Deliverer(LOOPBACK, resolve=hung, user_agent="voxgate") as deliverer:
            assert (await deliverer.deliver(to(receiver.url))).status == 200
            answering = asyncio.create_task(failure(deliverer, to(receiver.url)))
            resolving = asyncio.create_task(failure(deliverer, to("http://hung.example/")))
            await receiver.has_received(2)
            await asked.wait()
        assert await answering == "connection closed"
        assert await resolving == "name lookup failed"
        assert len(receiver.received) == 2


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1"]
)
async def test_a_cancelled_delivery_leaves_no_connection(deliverer: Deliverer, begun: bytes) -> None:
    answer = Answer(raw=begun, then="hang")
    async with Receiver(answer) as receiver:
        sending = asyncio.create_task(deliverer.deliver(to(receiver.url)))
        await receiver.has_received(1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await receiver.is_left()


async def test_a_connection_that_was_closed_while_idle_costs_no_delivery(deliverer: Deliverer) -> None:
    async with Receiver() as receiver:
        assert (await deliverer.deliver(to(receiver.url))).status == 200
        await receiver.close_idle()
        assert (await deliverer.deliver(to(receiver.url))).status == 200
        assert (len(receiver.received), receiver.connections) == (2, 2)


@pytest.mark.parametrize("late", [CLOSE, RESET], ids=["closed", "reset"])
async def test_a_connection_that_is_closed_as_it_is_used_again_costs_no_delivery(
    deliverer: Deliverer, late: Answer
) -> None:
    async with Receiver(Answer(), Answer(), late, Answer(201)) as receiver:
        # Two idle connections, of which both may be stale: the second try must not take the other one.
        assert [outcome.status for outcome in await both(deliverer, receiver)] == [200, 200]
        assert (await deliverer.deliver(to(receiver.url))).status == 201
        assert len(receiver.received) == 4
        assert receiver.received[-1].connection == 3


async def both(deliverer: Deliverer, receiver: Receiver) -> list[Outcome]:
    gate = asyncio.Event()
    for answer in receiver.answers:
        if answer not in (CLOSE, RESET):
            answer.hold = gate
    sending = [asyncio.create_task(deliverer.deliver(to(receiver.url))) for _ in range(2)]
    await receiver.has_received(2)
    gate.set()
    return await asyncio.gather(*sending)


async def test_a_second_failure_is_an_outcome(deliverer: Deliverer) -> None:
    async with Receiver(Answer(), CLOSE, CLOSE) as receiver:
        assert (await deliverer.deliver(to(receiver.url))).status == 200
        assert await failure(deliverer, to(receiver.url)) == "connection closed"
        assert len(receiver.received) == 3


async def test_a_connection_that_ends_within_an_answer_is_not_tried_again(deliverer: Deliverer) -> None:
    async with Receiver(Answer(), Answer(raw=b"HTTP/1.1 200 O", then="close")) as receiver:
        assert (await deliverer.deliver(to(receiver.url))).status == 200
        assert await failure(deliverer, to(receiver.url)) == "connection closed"
        assert len(receiver.received) == 2


async def test_the_second_try_has_only_the_time_that_is_left() -> None:
    clock = ManualClock()
    gate = asyncio.Event()
    slow = Answer(raw=b"", then="close", hold=gate)
    async with (
        Receiver(Answer(), slow) as receiver,
        Deliverer(LOOPBACK, clock=clock, user_agent="voxgate") as deliverer,
    ):
        assert (await deliverer.deliver(to(receiver.url))).status == 200
        sending = asyncio.create_task(deliverer.deliver(to(receiver.url)))
        await receiver.has_received(2)
        clock.advance(5.0)
        gate.set()
        assert (await sending).reason == "timeout"
        assert len(receiver.received) == 2


async def test_a_receiver_in_its_own_process_logs_what_it_was_sent(deliverer: Deliverer, tmp_path: Path) -> None:
    log = tmp_path / "received"
    async with receiver_process(log, "--status", "202") as url:
        for number in (1, 2):
            delivery = Delivery(url, b"%d" % number, {"webhook-id": f"msg_{number}"}, 5.0)
            assert (await deliverer.deliver(delivery)).status == 202
    assert logged(log) == [
        {"order": number, "id": f"msg_{number}", "sha256": sha256(b"%d" % number).hexdigest(), "path": "/hook"}
        for number in (1, 2)
    ]
