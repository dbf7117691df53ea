"""Receivers that send too much, too slowly, or what is no HTTP: no memory, no time and no false outcome for them."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from tests.fanout.receivers import CHUNK, SEND_BUFFER, Answer, Receiver, huge
from voxgate_fanout.addresses import AddressPolicy
from voxgate_fanout.delivery import DRAIN_SECONDS, MAX_RECEIVED, MAX_RESPONSE, Deliverer, Delivery
from voxgate_fanout.outcome import Outcome, OutcomeKind

MAX_TAKEN = 1024 * 1024
"""Bytes that one delivery may take from a receiver, what lies in the kernel's buffers on both sides included."""

QUICK = 2.0
"""Seconds within which a delivery that is cut short ends, on a busy machine too."""

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
async def deliverer() -> AsyncIterator[Deliverer]:
    async with Deliverer(AddressPolicy([ip_network("127.0.0.0/8")]), user_agent="voxgate/1") as deliverer:
        yield deliverer


async def deliver(deliverer: Deliverer, receiver: Receiver, *, seconds: float = 10.0) -> Outcome:
    """Deliver, and hold that it was quick and took little."""
    began, sent = time.monotonic(), receiver.sent
    outcome = await deliverer.deliver(Delivery(receiver.url, b"{}", {}, seconds))
    assert time.monotonic() - began < QUICK
    assert receiver.sent - sent < MAX_TAKEN
    return outcome


@pytest.mark.parametrize(
    "answer",
    [
        huge(),
        Answer(raw=OK + b"transfer-encoding: chunked\r\n\r\n", endless=b"4000\r\n" + CHUNK + b"\r\n"),
        Answer(raw=OK + b"transfer-encoding: chunked\r\n\r\n", endless=b"1\r\nx\r\n" * 4096),
        Answer(raw=OK + b"transfer-encoding: chunked\r\n\r\n4;", endless=CHUNK),
        Answer(raw=OK + b"\r\n", endless=CHUNK),
        Answer(raw=OK + b"connection: close\r\ncontent-length: 900000000\r\n\r\n", endless=CHUNK),
        Answer(raw=OK + b"content-encoding: gzip\r\ncontent-length: 900000000\r\n\r\n", endless=CHUNK),
    ],
    ids=["a gigabyte", "endless chunks", "endless small chunks", "an endless chunk extension", "until closed"]
    + ["closing", "compressed"],
)
async def test_an_endless_body_is_dropped_and_the_status_counts(deliverer: Deliverer, answer: Answer) -> None:
    async with Receiver(answer, Answer(201)) as receiver:
        outcome = await deliver(deliverer, receiver)
        assert (outcome.kind, outcome.status) == (OutcomeKind.DELIVERED, 200)
        await receiver.is_left()
        assert receiver.sent < MAX_TAKEN
        assert (await deliver(deliverer, receiver)).status == 201
        assert receiver.connections == 2


@pytest.mark.parametrize(
    ("size", "connections"), [(MAX_RESPONSE, 1), (8 * MAX_RESPONSE, 2)], ids=["as long as allowed", "longer"]
)
@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "chunked"])
async def test_a_connection_serves_again_after_a_body_within_the_bound(
    deliverer: Deliverer, size: int, connections: int, chunked: bool
) -> None:
    if chunked:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
        answer = Answer(headers={"transfer-encoding": "chunked"}, body=body)
    else:
        answer = Answer(body=b"x" * size)
    async with Receiver(default=answer) as receiver:
        assert (await deliver(deliverer, receiver)).status == 200
        assert (await deliver(deliverer, receiver)).status == 200
        assert receiver.connections == connections


async def test_a_gzip_bomb_stays_packed(deliverer: Deliverer) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < MAX_RESPONSE
    async with Receiver(default=Answer(headers={"content-encoding": "gzip"}, body=bomb)) as receiver:
        for _ in range(2):
            assert (await deliver(deliverer, receiver)).status == 200
        assert receiver.connections == 1


async def test_a_body_that_trickles_is_not_waited_for(deliverer: Deliverer) -> None:
    trickle = Answer(raw=OK + b"content-length: 100\r\n\r\nx", then="hang")
    async with Receiver(trickle) as receiver:
        outcome = await deliver(deliverer, receiver)
        assert (outcome.kind, outcome.status) == (OutcomeKind.DELIVERED, 200)
        assert outcome.seconds == pytest.approx(DRAIN_SECONDS, abs=0.5)
        await receiver.is_left()


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"content-length: %d\r\n\r\nx" % (MAX_RESPONSE + 1),
        OK + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s" % (MAX_RESPONSE + 1, bytes(MAX_RESPONSE + 1)),
        OK + b"connection: close\r\ncontent-length: 100\r\n\r\nx",
        OK + b"\r\nx",
    ],
    ids=["too long", "too long in chunks", "closing", "until closed"],
)
async def test_a_body_that_will_not_save_its_connection_is_not_waited_for(deliverer: Deliverer, raw: bytes) -> None:
    async with Receiver(Answer(raw=raw, then="hang")) as receiver:
        outcome = await deliver(deliverer, receiver)
        assert outcome.status == 200
        assert outcome.seconds < DRAIN_SECONDS
        await receiver.is_left()


async def test_a_body_is_waited_for_no_longer_than_the_delivery_may_take(deliverer: Deliverer) -> None:
    trickle = Answer(raw=OK + b"content-length: 100\r\n\r\nx", then="hang")
    async with Receiver(trickle) as receiver:
        outcome = await deliver(deliverer, receiver, seconds=0.2)
        assert (outcome.kind, outcome.status) == (OutcomeKind.DELIVERED, 200)
        assert outcome.seconds < DRAIN_SECONDS


async def test_a_body_that_breaks_off_does_not_undo_the_status(deliverer: Deliverer) -> None:
    for ending in ("close", "reset"):
        async with Receiver(Answer(503, raw=OK + b"content-length: 100\r\n\r\nx", then=ending)) as receiver:
            assert (await deliver(deliverer, receiver)).kind is OutcomeKind.DELIVERED


@pytest.mark.parametrize(
    "answer",
    [
        Answer(raw=OK, endless=b"x-more: " + b"y" * 1000 + b"\r\n"),
        Answer(raw=OK, endless=b"a: b\r\n" * 1000),
        Answer(raw=OK + b"x-long: ", endless=CHUNK),
        Answer(raw=OK, endless=b"x" * 1000),
        Answer(raw=b"HTTP/1.1 200 ", endless=CHUNK),
        Answer(raw=b"", endless=CHUNK),
        Answer(raw=b"", endless=b"\r\n" * 8000),
        Answer(raw=b"", endless=b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
        Answer(raw=b"", endless=b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 300),
    ],
    ids=["headers", "small headers", "one header", "one name", "a reason", "garbage", "blank lines", "100", "103"],
)
async def test_an_endless_head_is_a_malformed_answer(deliverer: Deliverer, answer: Answer) -> None:
    async with Receiver(answer) as receiver:
        outcome = await deliver(deliverer, receiver)
        assert (outcome.kind, outcome.reason) == (OutcomeKind.RETRY, "malformed answer")
        await receiver.is_left()
        assert receiver.sent < MAX_TAKEN


@pytest.mark.parametrize(
    "raw",
    [
        *(b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"HTTP/2 200\r\n\r\n", b"SSH-2.0-OpenSSH_9.9\r\n"),
        *(b"HTTP/1.1 banana OK\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 99999 OK\r\n\r\n", b"\x00" * 100),
        OK + b"content-length: -1\r\n\r\n",
        OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
        OK + b"content-length: 99999999999999999999999\r\n\r\n",
        OK + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"x: \x00\r\n\r\n",
        OK + b"no colon here\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_malformed_answer(deliverer: Deliverer, raw: bytes) -> None:
    async with Receiver(Answer(raw=raw, then="close")) as receiver:
        outcome = await deliver(deliverer, receiver)
        assert (outcome.kind, outcome.status, outcome.reason) == (OutcomeKind.RETRY, None, "malformed answer")
        await receiver.is_left()


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
async def test_interim_answers_are_passed_over(deliverer: Deliverer, interim: bytes) -> None:
    raw = interim + b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
    async with Receiver(default=Answer(raw=raw)) as receiver:
        for _ in range(2):
            assert (await deliver(deliverer, receiver)).status == 202
        assert receiver.connections == 1


async def test_a_switch_of_protocols_is_no_delivery(deliverer: Deliverer) -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
    async with Receiver(Answer(raw=raw, endless=CHUNK)) as receiver:
        outcome = await deliver(deliverer, receiver)
        assert (outcome.kind, outcome.status) == (OutcomeKind.RETRY, 101)
        await receiver.is_left()


@pytest.mark.parametrize(
    "extra",
    [
        b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n" * 200,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 300,
        b"HTTP/1.1 500 Oops\r\ncontent-length: 999999999\r\n\r\n" + CHUNK,
    ],
    ids=["answers", "interim answers", "a long answer"],
)
@pytest.mark.parametrize("held_back", [False, True], ids=["at once", "while idle"])
async def test_more_than_one_answer_ends_the_connection_and_changes_nothing(
    deliverer: Deliverer, extra: bytes, held_back: bool
) -> None:
    first = OK + b"content-length: 2\r\n\r\n{}"
    async with Receiver(Answer(raw=first if held_back else first + extra)) as receiver:
        assert (await deliver(deliverer, receiver)).status == 200
        if held_back:
            await receiver.push(extra)
        await receiver.is_left()
        assert (await deliver(deliverer, receiver)).status == 200
        assert receiver.connections == 2


async def test_garbage_behind_an_answer_spoils_it_or_ends_the_connection(deliverer: Deliverer) -> None:
    async with Receiver(Answer(raw=Answer().data() + b"garbage")) as receiver:
        assert (await deliver(deliverer, receiver)).reason == "malformed answer"
        await receiver.is_left()
        for uncalled in (b"garbage", b"HTTP/1.1 200 OK\r\nhalf-a-hea"):
            assert (await deliver(deliverer, receiver)).status == 200
            await receiver.push(uncalled)
            await receiver.is_left()


async def test_receivers_that_flood_do_not_hold_up_one_that_answers(deliverer: Deliverer) -> None:
    async with Receiver(default=huge()) as flooding, Receiver() as good:
        urls = [flooding.url] * 20 + [good.url] * 20
        outcomes = await asyncio.gather(*(deliverer.deliver(Delivery(url, b"{}", {}, 5.0)) for url in urls))
        assert {outcome.status for outcome in outcomes} == {200}
        await flooding.is_left()
        assert flooding.sent < 20 * MAX_TAKEN


def test_the_bound_on_what_is_taken_counts_the_buffers() -> None:
    assert MAX_RECEIVED + 4 * SEND_BUFFER < MAX_TAKEN
